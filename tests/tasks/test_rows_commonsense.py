"""Rows of commonsense: which option each label names."""

from pathlib import Path

import pytest

from app.errors import TaskError
from app.tasks.catalog import commonsense
from app.tasks.loading import load
from app.tasks.task import Parsed, Row

TASKS = {task.name: task for task in commonsense.TASKS}
STORY = {f"InputSentence{number}": f"Part {number}." for number in (1, 2, 3, 4)}
STORY |= {"RandomFifthSentenceQuiz1": "It rained.", "RandomFifthSentenceQuiz2": "It {snowed}."}


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        (
            "copa",
            {
                "premise": "The jar broke.",
                "choice1": "It froze.",
                "choice2": "It fell.",
                "question": "cause",
                "label": 1,
            },
            Parsed(
                {"premise": "The jar broke.", "asked": "What was the cause?"}, ("It froze.", "It fell."), "It fell."
            ),
        ),
        (
            "copa",
            {"premise": "It fell.", "choice1": "It broke.", "choice2": "It sang.", "question": "effect", "label": 0},
            Parsed(
                {"premise": "It fell.", "asked": "What happened as a result?"}, ("It broke.", "It sang."), "It broke."
            ),
        ),
        (
            "hellaswag",
            {"ctx": "A man  sits. he", "endings": ["flies.", "stands up.", "melts.", "rings."], "label": "1"},
            Parsed({"context": "A man sits. he"}, ("flies.", "stands up.", "melts.", "rings."), "stands up."),
        ),
        (
            "hellaswag",
            {"ctx": "A man sits. he", "endings": ["flies.", "stands up.", "flies.", "rings."], "label": "3"},
            Parsed({"context": "A man sits. he"}, ("flies.", "stands up.", "rings."), "rings."),
        ),
        (
            "piqa",
            {"goal": "Cut {bread}", "sol1": "with a spoon", "sol2": "with a knife", "label": 1},
            Parsed({"goal": "Cut {bread}"}, ("with a spoon", "with a knife"), "with a knife"),
        ),
        (
            "story_cloze",
            {**STORY, "AnswerRightEnding": "1"},
            Parsed({"story": "Part 1. Part 2. Part 3. Part 4."}, ("It rained.", "It {snowed}."), "It rained."),
        ),
        (
            "story_cloze",
            {**STORY, "AnswerRightEnding": 2},
            Parsed({"story": "Part 1. Part 2. Part 3. Part 4."}, ("It rained.", "It {snowed}."), "It {snowed}."),
        ),
    ],
)
def test_a_label_names_the_option_that_was_meant(name: str, row: Row, expected: Parsed) -> None:
    assert read(name, row) == expected


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("copa", {"premise": "x", "choice1": "a", "choice2": "b", "question": "cause", "label": -1}),
        ("hellaswag", {"ctx": "x", "endings": ["a", "b", "c", "d"], "label": ""}),
        ("piqa", {"goal": "x", "sol1": "a", "sol2": "b", "label": -1}),
        ("story_cloze", {**STORY, "AnswerRightEnding": ""}),
    ],
)
def test_a_row_without_label_is_left_out(name: str, row: Row) -> None:
    assert read(name, row) is None


@pytest.mark.parametrize(("one", "two"), [("same", " same"), ("", "b")])
def test_a_row_with_nothing_right_to_choose_is_left_out(one: str, two: str) -> None:
    assert read("piqa", {"goal": "x", "sol1": one, "sol2": two, "label": 0}) is None


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("copa", {"premise": "x", "question": "why", "label": 0}, "neither cause nor effect"),
        ("hellaswag", {"ctx": "x", "endings": ["a", "b"], "label": "2"}, "column label holds '2', none of 0, 1"),
        ("story_cloze", {**STORY, "AnswerRightEnding": "0"}, "column AnswerRightEnding holds '0', none of 1, 2"),
    ],
)
def test_a_label_that_names_no_option_is_refused(name: str, row: Row, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read(name, row)


def test_demonstrations_of_the_story_cloze_test_are_not_its_test_items(tiny_mirror: Path) -> None:
    data = load(TASKS["story_cloze"], tiny_mirror)
    stories = [{example.fields["story"] for example in side} for side in (data.train, data.test)]
    assert all(stories)
    assert not stories[0] & stories[1]
