"""Test items in mixtures are found, told, and left out where a recipe asks for it; sources may be replaced."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from app import stages, tables
from app.errors import TaskError
from app.evaluation import requests
from app.plan import Plan
from app.store import Store
from app.study import parse
from app.tasks import loading
from app.tasks.task import Example, Task, TaskData
from app.trials import Payload, Progress
from app.tuning import overlaps
from app.tuning.trial import tune

pytestmark = pytest.mark.filterwarnings("ignore:`get_checkpoint` is meant")

STUDY = """\
schema_version: 1
name: clean
bases:
  - {{source: checkpoint, family: llama, path: {base}, name: tiny}}
recipes:
  - {{method: lora, name: clean, decontaminate: true, mixture: &mixed [snli, plural], examples: 24, batch: 8}}
  - {{method: lora, name: dirty, mixture: *mixed, examples: 24, batch: 8}}
tasks: [rte, antonym]
test_items: 3
sources:
  snli: {{id: own/snli, config: small, train: learn, test: look}}
  rte: {{id: own/rte}}
"""
LONG = "the old man who lives beside the river sold his grey boat to a fisher from the next village"
PLANTED = [1, 4]  # rows of the training split of snli that hold a test item of rte


def snli(planted: bool) -> dict[str, list[dict[str, object]]]:
    """Training and test rows; where nothing is `planted` those rows have no label."""
    rows: list[dict[str, object]] = [
        {"premise": f"dan has a {thing}", "hypothesis": f"dan has one {thing} at home", "label": place % 3}
        for place, thing in enumerate(("coin", "book", "hat", "lamp", "cup", "ring", "drum", "bell"))
    ]
    # Once the whole item in another spelling, once 13 words in a row of a premise that is longer.
    rows[1] = {"premise": "THE CAT - sleeps.", "hypothesis": "a cat is asleep", "label": 0}
    rows[4] = {"premise": f"we heard that {LONG} again", "hypothesis": "the boat is sold", "label": 1}
    if not planted:
        for place in PLANTED:
            rows[place]["label"] = -1
    test = [{"premise": f"eve saw {n} dogs", "hypothesis": "eve saw dogs", "label": n % 3} for n in range(4)]
    return {"small/learn": rows, "small/look": test}


RTE = {
    "default/train": [
        {"sentence1": f"sam ate {n} plums", "sentence2": "sam ate", "label": n % 2, "idx": n} for n in range(6)
    ],
    "default/validation": [
        {"sentence1": "the cat sleeps", "sentence2": "A cat is asleep!", "label": 0, "idx": 0},
        {"sentence1": LONG, "sentence2": "the old man sold his boat", "label": 0, "idx": 1},
        {"sentence1": "kim went home", "sentence2": "kim is at sea", "label": 1, "idx": 2},
    ],
}


def mirror(folder: Path, planted: bool = True) -> str:
    for name, splits in (("own/snli", snli(planted)), ("own/rte", RTE)):
        for split, rows in splits.items():
            path = folder / name / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), path)
    return str(folder)


class Made(NamedTuple):
    plan: Plan
    store: Store
    mirror: str

    def tuned(self, recipe: str) -> dict[str, object]:
        """The record's result; tunes where that was not done."""
        (cell,) = (cell for cell in self.plan.tunings if cell.run.recipe_name == recipe)
        if self.store.read_record(cell.slug) is None:
            payload = Payload(cell, self.store, self.mirror)
            tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))
        record = self.store.read_record(cell.slug)
        assert record
        return dict(record.result)

    def adapter(self, recipe: str) -> bytes:
        assert self.store.local
        return (self.store.local / f"checkpoints/tiny.{recipe}-s0/adapter_model.safetensors").read_bytes()


def make(folder: Path, base: Path, planted: bool = True) -> Made:
    torch.set_num_threads(1)
    plan = stages.plan(parse(STUDY.format(base=base), folder / "study.yaml"))
    return Made(plan, Store(folder / "store"), mirror(folder / "mirror", planted))


@pytest.fixture(scope="module")
def made(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("dirty"), base_folder)


def test_a_mixture_is_cleaned_where_the_recipe_asks_for_it_and_says_of_how_many(made: Made) -> None:
    assert made.tuned("clean")["left_out"] == {"snli": 2}
    assert made.tuned("dirty")["left_out"] == {}
    assert made.adapter("clean") != made.adapter("dirty")


def test_a_cleaned_mixture_is_one_that_never_held_the_examples(made: Made, base_folder: Path, tmp_path: Path) -> None:
    never = make(tmp_path, base_folder, planted=False)
    made.tuned("clean")
    assert never.tuned("dirty")["left_out"] == {}
    assert never.adapter("dirty") == made.adapter("clean")


def test_data_comes_from_where_the_study_says(made: Made) -> None:
    result = made.tuned("dirty")
    assert set(result["data"]) == {"snli", "plural"}  # type: ignore[call-overload]
    assert result["drawn"]["snli"] > 0  # type: ignore[index]


def test_a_source_that_is_not_there_is_told_by_its_new_place(made: Made, tmp_path: Path) -> None:
    gone = made._replace(store=Store(tmp_path / "store"), mirror=str(tmp_path))
    with pytest.raises(TaskError, match=r"task snli: the data mirror has no file .*own/snli/small/"):
        gone.tuned("dirty")


def items(task: Task, data: TaskData) -> Sequence[Example]:
    return requests.items(task, data, 3, 0)


def test_the_table_says_what_each_mixture_holds_and_what_was_left_out(made: Made) -> None:
    found = overlaps.rows(made.plan, lambda task: loading.load(task, made.mirror), items)
    by_key = {(row["recipe"], row["tuned_task"], row["tested_task"]): row for row in found}
    assert set(by_key) == {
        (recipe, tuned, tested) for recipe in ("clean", "dirty") for tuned, tested in (("snli", "rte"), ("", "antonym"))
    }
    for recipe in ("clean", "dirty"):
        shared, nothing = by_key[recipe, "snli", "rte"], by_key[recipe, "", "antonym"]
        counts = ("test_items", "by_text", "by_13_gram", "train_examples")
        assert [shared[name] for name in counts] == [3, 1, 1, 2]
        assert [nothing[name] for name in counts] == [3, 0, 0, 0]
        assert (shared["left_out"], nothing["left_out"]) == (recipe == "clean", False)
        assert sorted(shared["examples"]) == ["learn-1 ~ validation-0", "learn-4 ~ validation-1"]  # type: ignore[call-overload]
    assert tables.build("contamination", found).num_rows == 4


def test_the_table_of_overlaps_is_made_anew_only_where_something_that_decides_it_changed(base_folder: Path) -> None:
    told = STUDY.format(base=base_folder)

    def identity(text: str) -> str:
        return overlaps.identity(stages.plan(parse(text, Path("study.yaml"))))

    assert identity(told) == identity(told.replace("batch: 8", "batch: 4"))
    changed = [("test_items: 3", "test_items: 2"), ("decontaminate: true", "decontaminate: false")]
    changed += [("[rte, antonym]", "[rte]"), ("[snli, plural]", "[snli]"), ("id: own/rte", "id: own/other")]
    for old, new in changed:
        assert old in told
        assert identity(told.replace(old, new)) != identity(told)
