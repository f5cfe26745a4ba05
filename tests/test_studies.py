"""Every study file in the repository loads, resolves and plans, and so does the copy that a store keeps."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app import stages
from app.errors import StoreError, StudyError
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


class Silent:
    """Hears of a run and says nothing."""

    def stage(self, name: str, cells: Sequence[object], reused: int) -> None:
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
    with pytest.raises(StoreError, match=r"1 pretrain cells .*tokens: 1000000 -> 5000.*--replace"):
        stages.run(new, store, None, Silent())
    assert store.read_text("study.yaml") == old.text
