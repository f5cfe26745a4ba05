"""Rows of our own for the tasks of reading comprehension, in the hub's columns."""

Row = dict[str, object]


def _choices(question: str, options: list[str], key: str) -> Row:
    return {
        "id": question[:4],
        "question_stem": question,
        "choices": {"text": options, "label": ["A", "B", "C", "D"]},
        "answerKey": key,
    }


def _drop(number: int, passage: str, question: str, spans: list[str]) -> Row:
    return {
        "section_id": f"history_{number}",
        "query_id": f"q-{number}",
        "passage": passage,
        "question": question,
        "answers_spans": {"spans": spans, "types": ["span"] * len(spans)},
    }


def _multirc(place: tuple[int, int, int], paragraph: str, question: str, answer: str, label: int) -> Row:
    return {
        "paragraph": paragraph,
        "question": question,
        "answer": answer,
        "idx": {"paragraph": place[0], "question": place[1], "answer": place[2]},
        "label": label,
    }


def _squad(title: str, context: str, question: str, answers: list[str]) -> Row:
    return {
        "id": f"{title}-{len(question)}",
        "title": title,
        "context": context,
        "question": question,
        "answers": {"text": answers, "answer_start": [max(0, context.find(answer)) for answer in answers]},
    }


_MILL = "The mill at Aska has four sails. It was built in 1788 by Per and Lars, and burned down 90 years later."
_PORT = "Vik is a port in the north. In winter {ice} closes it, and ships go to Hamn, 12 km away."
_ZOO = "The zoo keeps 30 birds, 12 bears and a “wolf”. Jo feeds the bears at noon; Ann feeds all others."

ROWS: dict[str, list[Row]] = {
    "google/boolq/default/train": [
        {"question": "is the port of vik open all year", "answer": False, "passage": _PORT},
        {"question": "was the mill of aska built by two men", "answer": True, "passage": _MILL},
        {"question": "does the zoo keep bears", "answer": True, "passage": _ZOO},
        {"question": "does jo feed the birds", "answer": False, "passage": _ZOO},
    ],
    "google/boolq/default/validation": [
        {"question": "is hamn near vik", "answer": True, "passage": _PORT},
        {"question": "does the mill of aska still stand", "answer": False, "passage": _MILL},
        {"question": "is there a wolf in the zoo", "answer": True, "passage": _ZOO},
        {"question": "does ann feed the bears", "answer": False, "passage": _ZOO},
    ],
    "ucinlp/drop/default/train": [
        _drop(1, _MILL, "In which year did the mill burn down?", ["1878"]),
        _drop(2, _MILL, "Who built the mill?", ["Per", "Lars"]),
        _drop(3, _ZOO, "How many more birds than bears are there?", ["18"]),
        _drop(4, _PORT, "How far is Hamn, in km?", ["12"]),
    ],
    "ucinlp/drop/default/validation": [
        _drop(5, _ZOO, "How many birds and bears are there?", ["42", "42 animals", "42"]),
        _drop(6, _PORT, "What closes the port of Vik?", ["{ice}", "{ice}"]),
        _drop(7, _MILL, "How many sails does the mill have?", ["four"]),
        _drop(8, _MILL, "Who painted the mill?", []),
    ],
    "aps/super_glue/multirc/train": [
        _multirc((0, 0, 0), _MILL, "Who built the mill?", "Per", 1),
        _multirc((0, 0, 1), _MILL, "Who built the mill?", "Jo", 0),
        _multirc((1, 1, 2), _ZOO, "Which animals does Ann feed?", "The birds", 1),
        _multirc((1, 1, 3), _ZOO, "Which animals does Ann feed?", "The bears", 0),
    ],
    "aps/super_glue/multirc/validation": [
        _multirc((0, 0, 0), _PORT, "Where do the ships go?", "Hamn", 1),
        _multirc((0, 0, 1), _PORT, "Where do the ships go?", "Vik", 0),
        _multirc((0, 1, 2), _PORT, "When is the port closed?", "In winter", 1),
        _multirc((0, 1, 3), _PORT, "When is the port closed?", "At night", 0),
        _multirc((0, 1, 4), _PORT, "When is the port closed?", "In May", -1),
    ],
    "allenai/openbookqa/main/train": [
        _choices("Ice is made of", ["sand", "water", "glass", "salt"], "B"),
        _choices("Bees collect", ["nectar", "stones", "rain", "rain"], "A"),
        _choices("A seed needs", ["noise", "paint", "water", "wool"], "C"),
        _choices("What is unlabelled?", ["a", "b", "c", "d"], ""),
    ],
    "allenai/openbookqa/main/test": [
        _choices("A magnet pulls", ["iron nails", "wood", "paper", "milk"], "A"),
        _choices("Which one burns?", ["a brick", "a spoon", "dry straw", "a pond"], "C"),
        _choices("The moon", ["burns", "boils", "sings", "reflects light"], "D"),
        _choices("Frogs lay {eggs} in", ["water", "snow", "fire", "sand"], "A"),
    ],
    "rajpurkar/squad/plain_text/train": [
        _squad("Aska_Mill", _MILL, "When was the mill built?", ["1788"]),
        _squad("Aska_Mill", _MILL, "How many sails has it?", ["four"]),
        _squad("Port_of_Vik", _PORT, "Where is Vik?", ["in the north"]),
        _squad("Zoo", _ZOO, "How many birds are kept?", ["30"]),
    ],
    "rajpurkar/squad/plain_text/validation": [
        _squad("Port_of_Vik", _PORT, "What closes the port?", ["{ice}", "{ice}", "ice"]),
        _squad("Zoo", _ZOO, "Who feeds the bears?", ["Jo", "Jo", "Jo"]),
        _squad("Zoo", _ZOO, "When are the bears fed?", ["noon", "at noon", "noon"]),
        _squad("Aska_Mill", _MILL, "Where is the mill?", ["Aska", "at Aska"]),
    ],
    "rajpurkar/squad_v2/squad_v2/train": [
        _squad("Aska_Mill", _MILL, "When was the mill built?", ["1788"]),
        _squad("Aska_Mill", _MILL, "Who painted the mill?", []),
        _squad("Port_of_Vik", _PORT, "Where is Vik?", ["in the north"]),
        _squad("Zoo", _ZOO, "How many lions are kept?", []),
    ],
    "rajpurkar/squad_v2/squad_v2/validation": [
        _squad("Port_of_Vik", _PORT, "Who rules Hamn?", []),
        _squad("Port_of_Vik", _PORT, "Where do the ships go?", ["Hamn", "to Hamn"]),
        _squad("Zoo", _ZOO, "When are the birds fed?", []),
        _squad("Zoo", _ZOO, "Who feeds the bears?", ["Jo", "Jo"]),
    ],
}  # fmt: skip
