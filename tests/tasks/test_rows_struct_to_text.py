"""Data in words: what a row says reaches the item, and every human sentence is a right answer."""

from typing import Any

import pytest

from app.errors import TaskError
from app.tasks.catalog import struct_to_text
from app.tasks.task import Hub, Parsed

TASKS = {task.name: task for task in struct_to_text.TASKS}


def read(name: str, row: dict[str, Any]) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


def web_nlg(sets: list[list[str]], *sentences: tuple[str, str]) -> dict[str, Any]:
    lex = {"text": [text for text, _ in sentences], "comment": [comment for _, comment in sentences]}
    return {"original_triple_sets": {"otriple_set": sets}, "lex": lex}


@pytest.mark.parametrize(
    ("name", "row", "wanted"),
    [
        (
            "common_gen",
            {"concept_set_idx": 0, "concepts": ["dog", "{park}"], "target": "A dog in a “{park}”."},
            Parsed({"concepts": "dog, {park}"}, (), "A dog in a “{park}”."),
        ),
        ("common_gen", {"concept_set_idx": 0, "concepts": [], "target": ""}, None),
        (
            "e2e_nlg",
            {"meaning_representation": "name[Fig], food[Greek]", "human_reference": "Fig is Greek.\n"},
            Parsed({"attributes": "name[Fig], food[Greek]"}, (), "Fig is Greek."),
        ),
        (
            "dart",
            {
                "tripleset": [["A", "R 1", "B C"], ["B_C", "R2", "D"]],
                "subtree_was_extended": None,
                "annotations": {"source": ["x", "x", "x"], "text": ["One.", "Two.", "One."]},
            },
            Parsed({"facts": "A | R 1 | B C; B C | R2 | D"}, (), "One.", ("Two.",)),
        ),
        (
            "web_nlg",
            web_nlg([['Alan_Bean | job | "pilot"', "A | b | C"], ["other | x | y"]], ("He.", "good"), ("It.", "")),
            Parsed({"facts": 'Alan Bean | job | "pilot"; A | b | C'}, (), "He.", ("It.",)),
        ),
        ("web_nlg", web_nlg([["A"]], ("Bad.", "bad"), ("Good.", "good")), Parsed({"facts": "A"}, (), "Good.")),
        ("web_nlg", web_nlg([["A | b | C"]], ("Bad.", "bad")), None),
        ("web_nlg", web_nlg([["A | b | C"]]), None),
    ],
)
def test_a_row_becomes_item_and_answers(name: str, row: dict[str, Any], wanted: Parsed | None) -> None:
    assert read(name, row) == wanted


@pytest.mark.parametrize(
    ("name", "row", "fault"),
    [
        ("web_nlg", web_nlg([], ("Good.", "good")), "no set of triples"),
        ("web_nlg", {**web_nlg([["A"]]), "lex": "text"}, "column lex holds 'text', not named parts"),
        ("dart", {"tripleset": ["A"], "annotations": {"text": ["x"]}}, "not a list of lists"),
        ("dart", {"tripleset": [["A"]], "annotations": {"text": "x"}}, "column text holds 'x', not a list"),
    ],
)
def test_a_row_of_another_shape_is_refused_by_column(name: str, row: dict[str, Any], fault: str) -> None:
    with pytest.raises(TaskError, match=fault):
        read(name, row)


def test_a_held_out_task_is_one_and_only_web_nlg_has_a_single_split() -> None:
    assert {name for name, task in TASKS.items() if task.role == "evaluate"} == {"dart"}
    hubs = {name: task.source for name, task in TASKS.items() if isinstance(task.source, Hub)}
    assert {name for name, hub in hubs.items() if hub.train == hub.test} == {"web_nlg"}
    assert hubs["common_gen"].test == "validation", "the hub's test split has no sentences"
