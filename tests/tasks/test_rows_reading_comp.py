"""Reading comprehension: what its publishers meant, told from made-up rows."""

import pytest

from app.errors import TaskError
from app.tasks.catalog.reading_comp import BOOL_Q, DROP, MULTIRC, OPENBOOKQA, SQUAD, SQUAD_V2
from app.tasks.task import Parsed, Row, Task

IN_ONE_TEXT = {"title": "Port_of_Vik", "context": "Vik is  a port.", "question": "What is Vik?"}
SHOWN = {"title": "Port of Vik", "context": "Vik is a port.", "question": "What is Vik?"}


def asked(answer: bool) -> Row:
    return {"question": "is it wet", "answer": answer, "passage": "It\nrains."}


def squad(answers: list[str]) -> Row:
    return {"id": "1", **IN_ONE_TEXT, "answers": {"text": answers, "answer_start": [0] * len(answers)}}


def multirc(label: int, question: int = 4) -> Row:
    place = {"paragraph": 7, "question": question, "answer": 9}
    return {"paragraph": "A text.", "question": "Who?", "answer": "Ann", "idx": place, "label": label}


def drop(spans: list[str]) -> Row:
    return {"passage": "A text.", "question": "How many?", "answers_spans": {"spans": spans, "types": []}}


def book(choices: object, key: str) -> Row:
    return {"id": "1", "question_stem": "Ice is", "choices": choices, "answerKey": key}


YES_NO = ("no", "yes")
TRUTH = ("False", "True")
WET = {"passage": "It rains.", "question": "is it wet"}
MARKED = {"paragraph": "A text.", "question": "Who?", "answer": "Ann"}
COUNTED = {"passage": "A text.", "question": "How many?"}
ICE: dict[str, object] = {"text": ["cold", "hot", "hot", "dry"], "label": ["A", "B", "C", "D"]}


@pytest.mark.parametrize(
    ("task", "row", "wanted"),
    [
        (BOOL_Q, asked(True), Parsed(WET, TRUTH, "True")),
        (BOOL_Q, asked(False), Parsed(WET, TRUTH, "False")),
        (DROP, drop(["4"]), Parsed(COUNTED, (), "4")),
        (DROP, drop(["4", "four", "4", "four"]), Parsed(COUNTED, (), "4", ("four",))),
        (DROP, drop([]), None),
        (MULTIRC, multirc(0), Parsed(MARKED, YES_NO, "no", group="7-4")),
        (MULTIRC, multirc(1), Parsed(MARKED, YES_NO, "yes", group="7-4")),
        (MULTIRC, multirc(-1), None),
        (OPENBOOKQA, book(ICE, "A"), Parsed({"question": "Ice is"}, ("cold", "hot", "dry"), "cold")),
        (OPENBOOKQA, book(ICE, "C"), Parsed({"question": "Ice is"}, ("cold", "hot", "dry"), "hot")),
        (OPENBOOKQA, book(ICE, ""), None),
        (SQUAD, squad(["a port"]), Parsed(SHOWN, (), "a port")),
        (SQUAD, squad(["a port", "port", "a port"]), Parsed(SHOWN, (), "a port", ("port",))),
        (SQUAD, squad([]), None),
        (SQUAD_V2, squad(["a port", "port"]), Parsed(SHOWN, (), "a port", ("port",))),
        (SQUAD_V2, squad([]), Parsed(SHOWN, (), "unanswerable")),
    ],
)
def test_a_row_is_read_as_its_publishers_meant_it(task: Task, row: Row, wanted: Parsed | None) -> None:
    assert task.to_example is not None
    assert task.to_example(row) == wanted


def test_replies_to_one_question_are_one_group_and_to_another_question_another() -> None:
    assert MULTIRC.to_example is not None
    read = [MULTIRC.to_example(multirc(1, question)) for question in (4, 4, 5)]
    groups = [parsed.group for parsed in read if parsed is not None]
    assert groups[0] == groups[1] != groups[2]


def test_a_key_that_is_no_letter_of_the_choices_is_refused() -> None:
    assert OPENBOOKQA.to_example is not None
    with pytest.raises(TaskError, match="'E', which is none of the letters A, B, C, D"):
        OPENBOOKQA.to_example(book(ICE, "E"))


def test_a_column_without_parts_is_refused_by_name() -> None:
    assert OPENBOOKQA.to_example is not None
    with pytest.raises(TaskError, match="column choices holds 'cold', not named parts"):
        OPENBOOKQA.to_example(book("cold", "A"))


@pytest.mark.parametrize("number", range(len(SQUAD_V2.templates)))
def test_every_wording_says_how_to_call_a_question_without_an_answer(number: int) -> None:
    template = SQUAD_V2.templates[number]
    assert '"unanswerable"' in template.instruction
    assert template.input == SQUAD.templates[number].input
