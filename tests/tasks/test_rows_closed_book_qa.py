"""Rows of closed-book question answering: keys of an exam, and answers with many names."""

import pytest

from app.errors import TaskError
from app.tasks.catalog import closed_book_qa
from app.tasks.task import Parsed, Row

TASKS = {task.name: task for task in closed_book_qa.TASKS}


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


def exam(texts: list[str], labels: str, key: str) -> Row:
    return {"question": "Which  {one}?", "choices": {"text": texts, "label": list(labels)}, "answerKey": key}


def quiz(value: str, aliases: list[str]) -> Row:
    return {"question": "Who?", "answer": {"value": value, "aliases": aliases, "normalized_value": value.lower()}}


@pytest.mark.parametrize("name", ["arc", "arc_easy"])
@pytest.mark.parametrize(
    ("texts", "labels", "key", "options", "target"),
    [
        (["a; b", "c", "d", "e"], "ABCD", "A", ("a; b", "c", "d", "e"), "a; b"),
        (["one", "two", "three"], "123", "3", ("one", "two", "three"), "three"),
        (["v", "w", "x", "y", "z"], "ABCDE", "E", ("v", "w", "x", "y", "z"), "z"),
        (["hot", "cold", "hot", "blue"], "ABCD", "C", ("hot", "cold", "blue"), "hot"),
    ],
)
def test_a_key_becomes_the_text_of_its_choice(
    name: str, texts: list[str], labels: str, key: str, options: tuple[str, ...], target: str
) -> None:
    assert read(name, exam(texts, labels, key)) == Parsed({"question": "Which {one}?"}, options, target)


def test_an_exam_question_without_key_is_left_out_and_an_unknown_key_refused() -> None:
    assert read("arc", exam(["x", "y"], "AB", "")) is None
    with pytest.raises(TaskError, match="none of the letters A, B"):
        read("arc", exam(["x", "y"], "AB", "C"))
    with pytest.raises(TaskError, match="column choices holds"):
        read("arc", {"question": "?", "choices": "x; y", "answerKey": "A"})


@pytest.mark.parametrize("name", ["trivia_qa_full", "trivia_qa_wiki"])
@pytest.mark.parametrize(
    ("value", "aliases", "references"),
    [
        ("Danube", ["Donau", "Danube", "The Danube", "Donau"], ("Donau", "The Danube")),
        ("Six", ["Six"], ()),
        ("Badminton", ["", "Feather ball"], ("Feather ball",)),
    ],
)
def test_every_other_name_of_an_answer_is_right_once(
    name: str, value: str, aliases: list[str], references: tuple[str, ...]
) -> None:
    assert read(name, quiz(value, aliases)) == Parsed({"question": "Who?"}, (), value, references)


def test_a_quiz_question_without_answer_is_left_out() -> None:
    assert read("trivia_qa_full", quiz("<unk>", [])) is None
