"""Rows of our own for the tasks of the miscellaneous cluster, in the hub's columns."""

Row = dict[str, object]


def _coqa(story: str, questions: list[str], answers: list[str]) -> Row:
    places = [0] * len(answers)
    return {
        "source": "made-up",
        "story": story,
        "questions": questions,
        "answers": {"input_text": answers, "answer_start": places, "answer_end": places},
    }


def _quac(title: str, context: str, questions: list[str], answers: list[list[str]]) -> Row:
    turns = [f"{title}#{place}" for place in range(len(questions))]
    starts = [[context.find(text) for text in texts] for texts in answers]
    return {
        "dialogue_id": title,
        "wikipedia_page_title": title,
        "background": f"{title} was a painter.",
        "section_title": "Life",
        "context": f"{context} CANNOTANSWER",
        "turn_ids": turns,
        "questions": questions,
        "followups": [2] * len(questions),
        "yesnos": [2] * len(questions),
        "answers": {"texts": answers, "answer_starts": starts},
        "orig_answers": {"texts": [texts[0] for texts in answers], "answer_starts": [one[0] for one in starts]},
    }


def _wic(word: str, first: str, second: str, label: int) -> Row:
    ends = {"start1": 0, "start2": 0, "end1": len(word), "end2": len(word)}
    return {"word": word, "sentence1": first, "sentence2": second, **ends, "idx": len(first), "label": label}


def _equation(factor: int, value: int, letter: str) -> Row:
    question = f"Solve {factor}*{letter} = {factor * value} for {letter}.\\n"
    return {"question": f"b'{question}'", "answer": f"b'{value}\\n'"}


def _spoken(number: int) -> Row:
    """Upstream's shape: the marks are gone, and with them the last word."""
    names = ("Ann", "Bo", "Cleo", "Dag", "Eve", "Finn", "Gro")
    who, whom = names[number % 7], names[(number // 7 + number + 1) % 7]
    whole = (
        f"{who}, did {whom} buy {number + 2} eggs?",
        f"Yes, {whom}: {who} has {number + 2} jars left.",
        f"Well, {who} ran; {whom} walked {number + 2} miles!",
    )[number % 3]
    bare = "".join(letter for letter in whole if letter.isalnum() or letter == " ")
    return {"utterance": whole, "corrupted_cased": bare.rpartition(" ")[0] + " "}


ROWS: dict[str, list[Row]] = {
    "stanfordnlp/coqa/default/train": [
        _coqa("Ida had a kite.\n\nIt was red.", ["What did Ida have?", "Which color?"], ["a kite", "red"]),
        _coqa("Ben lost a shoe in the mud.", ["Who lost something?", "What?"], ["Ben", "a shoe"]),
        _coqa("The {hen} laid two eggs on Monday.", ["How many eggs?"], ["two"]),
        _coqa("Max slept all day.", ["Was Max awake?", "Why?"], ["no", "unknown"]),
    ],
    "stanfordnlp/coqa/default/validation": [
        _coqa("Lea found a “map” in the attic.", ["Where was the map?", "Who found it?"], ["in the attic", "Lea"]),
        _coqa("Tom sold his cart and bought a boat.", ["What did Tom buy?"], ["a boat"]),
        _coqa("It rained for three weeks.", ["What was the weather like?"], ["it rained"]),
        _coqa("Nobody has asked about this.", [], []),
    ],
    "allenai/quac/plain_text/train": [
        _quac("Ada Holm", "Holm was born in Umea. She moved south.", ["Where was she born?"], [["in Umea"]]),
        _quac("Per Lund", "Lund painted ships.", ["What did he paint?", "Why?"], [["ships"], ["CANNOTANSWER"]]),
        _quac("Eva Berg", "Berg lived alone by the sea.", ["Had she children?"], [["CANNOTANSWER"]]),
        _quac("Leo Dahl", "Dahl taught {drawing} in Lund.", ["What did he teach?"], [["{drawing}"]]),
    ],
    "allenai/quac/plain_text/validation": [
        _quac("Ole Vik", "Vik left home at 12 and went to sea.", ["When did he leave?", "Where to?"],
              [["at 12", "Vik left home at 12", "at 12"], ["to sea", "to sea"]]),
        _quac("Siv Strand", "Strand won a prize in 1901.", ["Who were her parents?"], [["CANNOTANSWER"] * 3]),
        _quac("Jon Aas", "Aas never sold a picture.", ["Did he sell much?"], [["never sold a picture"]]),
        _quac("Liv Moe", "Moe burned her work.", ["What happened to it?"], [["burned", "Moe burned her work."]]),
    ],
    "CogComp/trec/default/train": [
        {"text": "What does the name BBC stand for ?", "coarse_label": 0, "fine_label": 1},
        {"text": "How many legs has a crab ?", "coarse_label": 5, "fine_label": 38},
        {"text": "What is a fjord ?", "coarse_label": 2, "fine_label": 24},
        {"text": "What color is {jade} ?", "coarse_label": 1, "fine_label": 4},
    ],
    "CogComp/trec/default/test": [
        {"text": "Who built the first kite ?", "coarse_label": 3, "fine_label": 29},
        {"text": "Where is Lake Mead ?", "coarse_label": 4, "fine_label": 35},
        {"text": "What is the “Tell” ?", "coarse_label": 2, "fine_label": 24},
        {"text": "Which row has no label ?", "coarse_label": -1, "fine_label": -1},
    ],
    "nyu-mll/glue/cola/train": [
        {"sentence": "The boat was sunk by him.", "label": 1, "idx": 0},
        {"sentence": "The boat were sank him.", "label": 0, "idx": 1},
        {"sentence": "Who did you see?", "label": 1, "idx": 2},
        {"sentence": "Who did you see Tom?", "label": 0, "idx": 3},
    ],
    "nyu-mll/glue/cola/validation": [
        {"sentence": "She put the book.", "label": 0, "idx": 0},
        {"sentence": "She put the \"book\" {there}.", "label": 1, "idx": 1},
        {"sentence": "Him likes tea.", "label": 0, "idx": 2},
        {"sentence": "This one is not labelled.", "label": -1, "idx": 3},
    ],
    "aps/super_glue/wic/train": [
        _wic("bank", "He sat on the bank of the river.", "She works in a bank.", 0),
        _wic("bank", "The bank lent him money.", "She works in a bank.", 1),
        _wic("run", "I run a shop.", "They run to school.", 0),
        _wic("cup", "A cup of tea.", "The cup broke.", 1),
    ],
    "aps/super_glue/wic/validation": [
        _wic("key", "The key turned in the lock.", "She sang in the wrong key.", 0),
        _wic("leaf", "A leaf fell.", "The leaf was {red}.", 1),
        _wic("draw", "He can draw a horse.", "They drew water.", 0),
        _wic("row", "Sit in this row.", "The last row is free.", -1),
    ],
    "deepmind/math_dataset/algebra__linear_1d/train": [_equation(n, n - 3, "abxy"[n % 4]) for n in range(2, 8)],
    "deepmind/math_dataset/algebra__linear_1d/test": [_equation(n, 5 - n, "kmpz"[n % 4]) for n in range(10, 15)],
    "nbroad/fix_punctuation/default/train": [_spoken(number) for number in range(45)],
}  # fmt: skip
