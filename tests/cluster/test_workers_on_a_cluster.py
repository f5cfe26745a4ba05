"""A recipe of two workers on a cluster that starts empty: nodes come for the workers, its driver stays on the head."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.launch.cluster import demo
from app.store import Store

STUDY = """\
schema_version: 1
name: divided
bases:
  - {{source: checkpoint, family: llama, path: {base}}}
recipes:
  - {{method: lora, mixture: [first, plural], examples: 2048, batch: 8, workers: 2}}
tasks: [last, antonym]
"""
_PATIENCE = 600.0  # seconds


def fewtune(*words: object) -> str:
    command = [sys.executable, "-m", "app.cli.main", *map(str, words)]
    environment = os.environ | {"COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def homes(title: str, gcs: str) -> dict[int, bool]:
    """Processes of a cluster by what they are called -> whether their node is the head."""
    found: dict[int, bool] = {}
    for process in psutil.process_iter():
        try:
            raylet = process.parent()
            if raylet and title in " ".join(process.cmdline()) and gcs in " ".join(raylet.cmdline()):
                found[process.pid] = "--head" in raylet.cmdline()
        except psutil.Error:
            continue
    return found


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_the_driver_of_workers_stays_on_the_head_and_nodes_come_for_the_workers(
    base_folder: Path, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    drivers: dict[int, bool] = {}
    workers: dict[int, bool] = {}
    with demo(3, idle_minutes=0.2) as cluster:
        study = write_study(STUDY.format(base=base_folder))
        fewtune("submit", study, "--address", cluster.address, "--store", store)
        until = time.monotonic() + _PATIENCE
        status: dict[str, object] = {}
        while not status.get("ended"):
            assert time.monotonic() < until
            for _ in range(20):
                drivers |= homes("ImplicitFunc", cluster.gcs_address)
                workers |= homes("RayTrainWorker", cluster.gcs_address)
                time.sleep(0.2)
            status = json.loads(fewtune("status", study, "--address", cluster.address, "--store", store, "--json"))
        assert status["phase"] == "done", status["line"]
        assert status["failed"] == []
    assert set(drivers.values()) == {True}
    assert len(workers) == 2
    assert set(workers.values()) == {False}
    found = Store(store)
    (record,) = found.records("tune").values()
    assert record.environment["torch"]
    assert found.read_table("pairs", "tables/pairs.parquet").num_rows == 2
    assert found.exists("tables/correlations.parquet")
