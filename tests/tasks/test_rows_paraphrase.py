"""Rows of paraphrase: which label says that two sentences mean the same, and how scores become grades."""

import pytest

from app.errors import TaskError
from app.tasks.catalog import paraphrase
from app.tasks.task import Parsed, Row

TASKS = {task.name: task for task in paraphrase.TASKS}
PAIR = {"first": "One {a}.", "second": "Two."}


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


@pytest.mark.parametrize(("name", "column"), [("mrpc", "sentence"), ("paws_wiki", "sentence"), ("qqp", "question")])
@pytest.mark.parametrize(("label", "target"), [(0, "no"), (1, "yes")])
def test_one_means_the_same(name: str, column: str, label: int, target: str) -> None:
    row = {f"{column}1": "One  {a}.", f"{column}2": "Two.", "label": label}
    assert read(name, row) == Parsed(PAIR, ("no", "yes"), target)
    assert TASKS[name].positive == "yes"
    assert TASKS[name].also == ("f1",)


@pytest.mark.parametrize(
    ("score", "grade"),
    [(0.0, "0"), (0.4, "0"), (0.6, "1"), (2.5, "2"), (2.75, "3"), (3.5, "4"), (4.8, "5"), (5.0, "5"), (5, "5")],
)
def test_a_score_is_rounded_to_a_grade_and_not_cut_off(score: float, grade: str) -> None:
    row = {"sentence1": "One {a}.", "sentence2": "Two.", "label": score}
    assert read("stsb", row) == Parsed(PAIR, ("0", "1", "2", "3", "4", "5"), grade)


@pytest.mark.parametrize("score", [-1.0, None])
def test_a_pair_without_score_is_left_out(score: object) -> None:
    assert read("stsb", {"sentence1": "x", "sentence2": "y", "label": score}) is None


@pytest.mark.parametrize("score", [5.2, -0.5, "3", float("nan")])
def test_any_other_score_is_refused(score: object) -> None:
    with pytest.raises(TaskError, match="not a score from 0 to 5"):
        read("stsb", {"sentence1": "x", "sentence2": "y", "label": score})
