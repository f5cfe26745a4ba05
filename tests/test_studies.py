"""Every study file in the repository loads, resolves and plans, and so does the copy that a store keeps."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from app import stages
from app.errors import StoreError, StudyError
from app.models.catalog import KNOWN_BASES
from app.plan import standing
from app.store import Record, Store
from app.study import load

STUDIES = sorted((Path(__file__).parents[1] / "jobs" / "studies").glob("*.yaml"))


def test_there_is_a_study_to_run() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_a_study_file_loads_resolves_and_plans(path: Path) -> None:
    file = load(path)
    try:
        planned = stages.plan(file)
    except StudyError as fault:
        if "is not installed" not in str(fault):
            raise
        pytest.skip("the package that ships this study's model is not installed")
    slugs = [cell.slug for cell in planned.cells]
    assert planned.study.name
    assert planned.tunings
    assert planned.evaluations
    assert len(slugs) == len(set(slugs))
    assert all(cell.fingerprint for cell in planned.cells)


def named(name: str) -> Path:
    return next(path for path in STUDIES if path.stem == name)


@pytest.mark.parametrize("name", ["paper", "paper-open", "ninety"])
def test_a_study_of_ninety_has_ninety_tuned_models_and_one_precision_for_each_pair(name: str) -> None:
    planned = stages.plan(load(named(name)))
    assert len(planned.tunings) == 90
    assert len({cell.run.slug for cell in planned.tunings}) == 90
    precision = {cell.base.slug: cell.base.dtype for cell in planned.evaluations if cell.run is None}
    for cell in planned.tunings:
        assert cell.base.dtype == precision[cell.base.slug]
        assert (cell.run.recipe.method == "qlora") == (cell.base.dtype == "nf4")


def test_the_papers_study_has_21_training_sets_on_one_base_model_and_three_on_each_other() -> None:
    runs = [cell.run for cell in stages.plan(load(named("paper"))).tunings]
    assert Counter(run.base.slug for run in runs) == {
        "llama-2-7b-hf": 63, "llama-2-13b-hf": 9, "llama-2-70b-hf": 9, "mistral-7b-v0.1": 9
    }  # fmt: skip
    for run in runs:
        assert run.seed in (42, 1234, 10203)
        assert run.recipe.examples == (2_000 if run.recipe_name == "regular-2k" else 20_000)
        assert {task.name for task in run.evaluated} >= {"qnli", "snli", "xsum"}
    sets = {(run.recipe.format, tuple(task.name for task in run.mixture), run.recipe.examples) for run in runs}
    assert len(sets) == 21


def test_the_open_study_spans_six_families_and_four_orders_of_magnitude() -> None:
    runs = [cell.run for cell in stages.plan(load(named("paper-open"))).tunings]
    bases = {run.base.slug: run.base for run in runs}
    assert Counter(run.base.slug for run in runs) == dict.fromkeys(bases, 6)
    assert len(bases) == 15
    assert len({base.family for base in bases.values()}) == 6
    sizes = [base.params for base in bases.values()]
    assert max(sizes) / min(sizes) > 5_000
    gated = {known.id for known in KNOWN_BASES if known.gated}
    assert not gated & {base.location for base in bases.values()}


@pytest.mark.parametrize("name", ["paper", "paper-open"])
def test_every_base_model_of_the_hub_is_pinned_or_its_file_says_why_not(name: str) -> None:
    path = named(name)
    text = path.read_text()
    for base in {cell.base.slug: cell.base for cell in stages.plan(load(path)).tunings}.values():
        revision = base.revision or ""
        assert re.fullmatch(r"[0-9a-f]{40}", revision) or f"revision: {revision} # " in text


def test_inputs_read_back_from_records_are_those_of_the_plan() -> None:
    planned = stages.plan(load(named("paper")))
    some = planned.cells[::100]
    records = {cell.slug: json.loads(json.dumps(cell.inputs)) for cell in some}
    found = standing(planned, records)
    assert found.reused == some
    assert not found.stale
    records[some[-1].slug]["items"] = 2500.0  # another number to JSON, though equal
    assert [cell for cell, _ in standing(planned, records).stale] == [some[-1]]


class Silent:
    """Hears of a run and says nothing."""

    def begin(self, cells: Sequence[object], reused: Sequence[object]) -> None:
        pass

    def failed(self, slug: str, reason: str) -> None:
        pass

    def waiting(self, reasons: Mapping[str, str]) -> None:
        pass

    def progress(self, slug: str, share: float) -> None:
        pass


def test_the_copy_in_a_store_plans_as_the_study_did_wherever_its_base_models_lie(
    write_study: Callable[..., Path], base_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").symlink_to(base_folder)
    text = (
        write_study()
        .read_text()
        .replace("source: ladder", "source: checkpoint")
        .replace("sizes: [32x2]", "path: model")
    )
    file = load(write_study(text))
    Store(tmp_path / "store").keep(file.study.name, file.text, file.path)
    copy, _ = stages.of_store(str(tmp_path / "store"))
    assert stages.plan(copy) == stages.plan(file)


def test_a_run_that_is_refused_over_stale_cells_leaves_the_store_as_it_was(
    write_study: Callable[..., Path], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    old = load(write_study())
    store.keep(old.study.name, old.text, old.path)
    for cell in stages.plan(old).made:
        store.write_record(Record(cell.kind, cell.slug, cell.inputs, {}))
    new = load(write_study(old.text.replace("[32x2]", "[32x2], pretraining: {tokens: 5000}")))
    with pytest.raises(StoreError, match=r"1 pretrain cell .*tokens: 1000000 -> 5000.*--replace"):
        stages.run(new, store, None, Silent())
    assert store.read_text("study.yaml") == old.text
