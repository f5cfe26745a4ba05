"""A mixture is encoded once for all runs that learn from the same ids, and anew where anything that decides differs."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerBase

from app import stages
from app.plan import Run
from app.pretraining import tokenizer as words
from app.store import Store
from app.study import parse
from app.tuning.material import FOLDER, Material, gather

STUDY = """\
schema_version: 1
name: small
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
  - {source: ladder, family: gpt2, sizes: [32x2]}
recipes:
  - {method: lora, mixture: [first, plural], examples: 120, seeds: [0, 1]}
  - {method: full, mixture: [first, plural], examples: 120}
tasks: [last, reverse]
"""


def runs(place: Path, text: str = STUDY) -> dict[str, Run]:
    """Family, method and seed -> the run."""
    found = [cell.run for cell in stages.plan(parse(text, place / "study.yaml")).tunings]
    return {f"{run.base.family} {run.recipe.method} {run.seed}": run for run in found}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runs(tmp_path)["llama lora 0"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def made(run: Run, store: Store, longest: int = 512, tokenizer: PreTrainedTokenizerBase | None = None) -> Material:
    return gather(run, tokenizer or words.build(), longest, store, None)[0]


def files(store: Store) -> dict[str, int]:
    """Name -> inode: a file that was written again has another one."""
    assert store.local
    return {file.name: file.stat().st_ino for file in (store.local / FOLDER).iterdir()}


def test_runs_of_other_bases_and_methods_read_what_the_first_one_made(tmp_path: Path, store: Store) -> None:
    found = runs(tmp_path)
    first = made(found["llama lora 0"], store)
    kept = files(store)
    assert len(kept) == 1
    for slug in ("gpt2 lora 0", "llama full 0"):
        assert made(found[slug], store) == first
    assert files(store) == kept
    assert sum(first.drawn.values()) == len(first.mixture.examples) == 120
    other = made(found["llama lora 1"], store)
    assert other.mixture != first.mixture
    assert len(files(store)) == 2


def test_what_the_store_holds_is_what_a_run_gets(run: Run, store: Store) -> None:
    """The file is read, not made again beside it: one of another content, sealed as ours are, comes back."""
    made(run, store)
    (name,) = files(store)
    made(replace(run, seed=7), store)
    (other,) = files(store).keys() - {name}
    assert store.local
    (store.local / FOLDER / other).replace(store.local / FOLDER / name)
    assert made(run, store) == made(replace(run, seed=7), Store(store.local.parent / "apart"))


@pytest.mark.parametrize(
    "change",
    [
        {"examples": 121},
        {"rate_cap": 50},
        {"format": "samplegen"},
    ],
)
def test_another_recipe_is_another_mixture(change: dict[str, object], run: Run, store: Store) -> None:
    first = made(run, store)
    changed = run.recipe.model_copy(update=change)
    settings = {**cast(dict[str, object], run.inputs["recipe"]), "worked_examples": 2}
    inputs = {**run.inputs, "recipe": settings} if changed.format != "regular" else run.inputs
    assert made(replace(run, recipe=changed, inputs=inputs), store) != first
    assert len(files(store)) == 2


def test_seed_length_tasks_protocols_and_tested_items_each_make_another_mixture(run: Run, store: Store) -> None:
    variants = [
        replace(run, seed=3),
        replace(run, inputs={**run.inputs, "study_seed": 5}),
        replace(run, inputs={**run.inputs, "protocols": {"tuning": "other"}}),
        replace(run, mixture=run.mixture[::-1]),
        replace(
            run,
            mixture=(replace(run.mixture[0], inputs={**run.mixture[0].inputs, "templates": "other"}), run.mixture[1]),
        ),
        replace(run, evaluated=run.mixture[:1]),
    ]
    made(run, store)
    for count, variant in enumerate(variants, 2):
        made(variant, store)
        assert len(files(store)) == count
    made(run, store, longest=24)
    assert len(files(store)) == len(variants) + 2


def test_another_tokenizer_makes_another_mixture_of_the_same_examples(run: Run, store: Store) -> None:
    first = made(run, store)
    larger = words.build()
    larger.add_tokens(["neverseen"])
    assert made(run, store, tokenizer=larger) == first
    assert len(files(store)) == 2
    ended = words.build()
    ended.eos_token = ended.convert_ids_to_tokens(7)
    assert made(run, store, tokenizer=ended).mixture != first.mixture
    assert len(files(store)) == 3


def test_other_rows_of_the_data_make_another_mixture(tmp_path: Path, store: Store) -> None:
    text = STUDY.replace("[first, plural]", "[rte]").replace("examples: 120", "examples: 6")
    run = runs(tmp_path, text)["llama lora 0"]
    found: list[Material] = []
    for word in ("hot", "cold"):
        folder = tmp_path / word / "nyu-mll" / "glue" / "rte"
        folder.mkdir(parents=True)
        rows = [{"sentence1": f"{word} {n}", "sentence2": f"wet {n}", "label": n % 2, "idx": n} for n in range(12)]
        pq.write_table(pa.Table.from_pylist(rows[:8]), folder / "train.parquet")
        pq.write_table(pa.Table.from_pylist(rows[8:]), folder / "validation.parquet")
        found.append(gather(run, words.build(), 512, store, str(tmp_path / word))[0])
    assert found[0].mixture != found[1].mixture
    assert len(files(store)) == 2


@pytest.mark.parametrize("damage", ["cut short", "flipped", "emptied", "of something else"])
def test_a_damaged_file_is_made_again(damage: str, run: Run, store: Store) -> None:
    first = made(run, store)
    assert store.local
    (path,) = (store.local / FOLDER).iterdir()
    sound = path.read_bytes()
    match damage:
        case "cut short":
            path.write_bytes(sound[: len(sound) // 2])
        case "flipped":  # a compressed column with another byte
            path.write_bytes(sound[:60] + bytes([sound[60] ^ 1]) + sound[61:])
        case "emptied":
            path.write_bytes(b"")
        case _:
            pq.write_table(pa.table({"ids": [[1, 2]], "answer": [1]}), path)
    assert made(run, store) == first
    assert path.read_bytes() == sound
