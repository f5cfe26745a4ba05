"""Rows of coreference resolution: which pronoun is meant, and by whom."""

import re
from pathlib import Path

import pytest

from app.errors import TaskError
from app.tasks.catalog import coreference
from app.tasks.loading import load
from app.tasks.task import Parsed, Row

TASKS = {task.name: task for task in coreference.TASKS}
SHOWN = "Ann told Sue that *she* was late."


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


def schema(text: str, pronoun: str, place: int, label: int = 0) -> Row:
    return {"text": text, "pronoun": pronoun, "pronoun_loc": place, "options": ["Ann", "Sue"], "label": label}


@pytest.mark.parametrize(("label", "target"), [(0, "Ann"), (1, "Sue")])
def test_the_candidates_themselves_are_the_options(label: int, target: str) -> None:
    expected = Parsed({"sentence": SHOWN, "pronoun": "she"}, ("Ann", "Sue"), target)
    text = "Ann told Sue that she was late."
    assert (
        read("dpr_raw", {"sentence": text, "pronoun": "she", "candidates": ["Ann", "Sue"], "label": label}) == expected
    )
    assert read("wsc273", schema(text, "she", 18, label)) == expected


@pytest.mark.parametrize(
    ("text", "pronoun", "candidates", "marked"),
    [
        ("It {was} hot.", "It", ["It", "hot"], "*It* {was} hot."),
        ("The hen saw the cat so it hid.", "it", ["The hen", "the cat"], "The hen saw the cat so *it* hid."),
        ("The hen ate it as the cat sat by it.", "it", ["The hen", "the cat"],
         "The hen ate it as the cat sat by *it*."),
        ("The men hid from the dogs they saw, because they bit.", "they", ["The men", "the dogs"],
         "The men hid from the dogs they saw, because *they* bit."),
        ("The men hid from the dogs, and they found that they bit.", "they", ["The men", "the dogs"],
         "The men hid from the dogs, and *they* found that they bit."),
        ("The theory beat the hen, he said.", "he", ["The theory", "the hen"], "The theory beat the hen, *he* said."),
    ],
)  # fmt: skip
def test_the_pronoun_that_links_the_clauses_is_marked(
    text: str, pronoun: str, candidates: list[str], marked: str
) -> None:
    parsed = read("dpr_raw", {"sentence": text, "pronoun": pronoun, "candidates": candidates, "label": 0})
    assert parsed is not None
    assert parsed.fields["sentence"] == marked


def test_the_place_of_a_pronoun_counts_in_the_text_as_it_is_published() -> None:
    parsed = read("wsc273", schema("Ann  said she\nknew she  won.", "she", 19))
    assert parsed is not None
    assert parsed.fields["sentence"] == "Ann said she knew *she* won."


@pytest.mark.parametrize(("number", "target"), [("1", "cup"), ("2", "shelf")])
def test_an_option_fills_the_blank(number: str, target: str) -> None:
    row = {"sentence": "The _ broke.", "option1": "cup", "option2": "shelf", "answer": number}
    assert read("winogrande", row) == Parsed({"sentence": "The _ broke."}, ("cup", "shelf"), target)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("dpr_raw", {"sentence": "It is.", "pronoun": "It", "candidates": ["a", "b"], "label": -1}),
        ("wsc273", schema("she", "she", 0, label=-1)),
        ("winogrande", {"sentence": "_", "option1": "cup", "option2": "shelf", "answer": ""}),
        ("winogrande", {"sentence": "_", "option1": "cup", "option2": "cup", "answer": "1"}),
    ],
)
def test_a_row_without_label_or_without_choice_is_left_out(name: str, row: Row) -> None:
    assert read(name, row) is None


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "dpr_raw",
            {"sentence": "He is.", "pronoun": "she", "candidates": ["a", "b"], "label": 0},
            "without the pronoun",
        ),
        ("wsc273", schema("Ann said she won.", "she", 8), "has no 'she' at place 8"),
        ("winogrande", {"sentence": "_", "option1": "a", "option2": "b", "answer": "3"}, "neither 1 nor 2"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(name: str, row: Row, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read(name, row)


@pytest.mark.parametrize("name", ["dpr_raw", "wsc273"])
def test_every_real_sentence_marks_one_pronoun(name: str, real_mirror: Path) -> None:
    data = load(TASKS[name], real_mirror)
    for example in (*data.train, *data.test):
        assert re.findall(r"\*([^*]+)\*", example.fields["sentence"]) == [example.fields["pronoun"]]
        assert example.target in example.options


def test_the_single_split_of_the_winograd_schemas_is_cut_in_two(real_mirror: Path) -> None:
    data = load(TASKS["wsc273"], real_mirror)
    assert len(data.train) + len(data.test) == 273
    assert len(data.train) == 54
