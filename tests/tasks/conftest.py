"""A mirror of the hub in the right shape, with a few rows of our own."""

import gzip
import importlib
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path

import mirror
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.tasks.loading import load
from app.tasks.task import Generated, Hub, Task, TaskData

Row = dict[str, object]
Write = Callable[[str, list[Row]], Path]

MIRROR: dict[str, list[Row]] = {}
"""OWNER/NAME/CONFIG/SPLIT -> rows, from every module of `mirror`."""
MANUAL: dict[str, str] = {}
"""Path below the mirror -> text, likewise."""
for found in pkgutil.iter_modules(mirror.__path__):
    rows = importlib.import_module(f"mirror.{found.name}")
    MIRROR |= rows.ROWS
    MANUAL |= getattr(rows, "MANUAL", {})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows as one file of a mirror; returns the mirror."""

    def write_file(name: str, rows: list[Row]) -> Path:
        path = tmp_path / "mirror" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
        return tmp_path / "mirror"

    return write_file


@pytest.fixture(scope="session")
def tiny_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of MIRROR and MANUAL on disk."""
    folder = tmp_path_factory.mktemp("mirror")
    for name, rows in MIRROR.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    for name, content in MANUAL.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return folder


@pytest.fixture(scope="session")
def real_mirror() -> Path:
    """The real data sets; the test is skipped where they are absent."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FEWTUNE_DATA_MIRROR") or beside)
    if not folder.is_dir():
        pytest.skip("no mirror of the real data sets: set FEWTUNE_DATA_MIRROR")
    return folder


@pytest.fixture(scope="session")
def real_data(real_mirror: Path) -> Callable[[Task], TaskData]:
    """Task -> its real examples; the test is skipped where the mirror does not hold both of its splits."""

    def loaded(task: Task) -> TaskData:
        match task.source:
            case Hub(name, config, train, test):
                files = [f"{name}/{config}/{split}.parquet" for split in (train, test)]
            case Generated():
                files = []
            case manual:
                files = [file for file in (manual.file, manual.test) if file]
        if not all((real_mirror / file).is_file() for file in files):
            pytest.skip(f"the mirror of the real data sets has no {task.name}")
        return load(task, real_mirror)

    return loaded
