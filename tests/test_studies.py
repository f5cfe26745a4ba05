"""Every study file in the repository loads, resolves and plans."""

from pathlib import Path

import pytest

from app import stages
from app.study import load

STUDIES = sorted((Path(__file__).parents[1] / "jobs" / "studies").glob("*.yaml"))


def test_there_is_a_study_to_run() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_a_study_file_loads_resolves_and_plans(path: Path) -> None:
    planned = stages.plan(load(path))
    slugs = [cell.slug for cell in planned.cells]
    assert planned.study.name
    assert planned.tunings
    assert planned.evaluations
    assert len(slugs) == len(set(slugs))
    assert all(cell.fingerprint for cell in planned.cells)
