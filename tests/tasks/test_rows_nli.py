"""Rows of natural language inference: what each label means."""

from pathlib import Path

import pytest

from app.tasks.catalog import nli
from app.tasks.loading import load
from app.tasks.task import Hub, Parsed, Row

TASKS = {task.name: task for task in nli.TASKS}
THREE = ("yes", "maybe", "no")


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


@pytest.mark.parametrize("name", ["anli_r1", "anli_r2", "anli_r3", "snli", "mnli", "mnli_matched", "mnli_mismatched"])
@pytest.mark.parametrize(("label", "target"), [(0, "yes"), (1, "maybe"), (2, "no")])
def test_the_middle_label_of_three_is_neutral(name: str, label: int, target: str) -> None:
    row = {"premise": "A {dog}\nran.", "hypothesis": "An animal ran.", "label": label}
    assert read(name, row) == Parsed({"premise": "A {dog} ran.", "hypothesis": "An animal ran."}, THREE, target)


@pytest.mark.parametrize(("label", "target"), [(0, "yes"), (1, "no"), (2, "maybe")])
def test_in_cb_the_last_label_is_neutral(label: int, target: str) -> None:
    row = {"premise": "Was it?", "hypothesis": "it was", "label": label}
    assert read("cb", row) == Parsed({"premise": "Was it?", "hypothesis": "it was"}, ("yes", "no", "maybe"), target)


@pytest.mark.parametrize(("label", "target"), [(0, "yes"), (1, "no")])
def test_zero_is_entailment_in_rte_and_qnli(label: int, target: str) -> None:
    pair = {"sentence1": "A dog ran.", "sentence2": "A dog moved.", "label": label}
    assert read("rte", pair) == Parsed({"premise": "A dog ran.", "hypothesis": "A dog moved."}, ("yes", "no"), target)
    asked = {"question": "Who ran?", "sentence": "A dog ran.", "label": label}
    assert read("qnli", asked) == Parsed({"question": "Who ran?", "sentence": "A dog ran."}, ("yes", "no"), target)


@pytest.mark.parametrize(("label", "target"), [(0, "no"), (1, "yes")])
def test_one_is_entailment_in_wnli(label: int, target: str) -> None:
    row = {"sentence1": "It fell.", "sentence2": "The jug fell.", "label": label}
    assert read("wnli", row) == Parsed({"text": "It fell.", "reading": "The jug fell."}, ("no", "yes"), target)


def test_a_pair_on_which_nobody_agreed_is_left_out() -> None:
    assert read("snli", {"premise": "x", "hypothesis": "y", "label": -1}) is None


def test_wnli_is_inference_and_held_out_with_coreference_too() -> None:
    assert TASKS["wnli"].cluster == TASKS["rte"].cluster
    assert TASKS["wnli"].kin == ("coreference_resolution",)


def test_every_round_of_anli_has_its_own_splits() -> None:
    sources = [TASKS[f"anli_r{number}"].source for number in (1, 2, 3)]
    splits = [(source.train, source.test) for source in sources if isinstance(source, Hub)]
    assert splits == [("train_r1", "test_r1"), ("train_r2", "test_r2"), ("train_r3", "test_r3")]


def test_demonstrations_of_both_parts_of_mnli_come_from_its_train_split(tiny_mirror: Path) -> None:
    tune, *held_out = (load(TASKS[name], tiny_mirror) for name in ("mnli", "mnli_matched", "mnli_mismatched"))
    assert {TASKS[name].role for name in ("mnli_matched", "mnli_mismatched")} == {"evaluate"}
    assert all(data.train == tune.train for data in held_out)
    assert held_out[0].test == tune.test != held_out[1].test
