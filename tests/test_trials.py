"""Cells as trials: longest first, none drags another down, and a killed worker goes on where it was."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray.cloudpickle
import torch
from ray.train._internal.session import _TrainSession

from app import nodes, trials
from app.errors import DISK_FULL, CellError
from app.plan import Base, Cell, Ended, Needs, Schedule
from app.store import Record, Store
from app.study import Resources
from app.trials import Payload, Progress, Work

# Workers cannot import a test module, so its functions travel whole.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
pytestmark = pytest.mark.usefixtures("ray_session")

BASE = Base("tiny", "llama", "ladder", "", None, "float32", 1_000, Resources(), False, None, {})
STEPS = 10


def cell(name: str, cost: float = 1.0, **needs: float) -> Cell:
    wanted = replace(Needs(1, 0, 2**20), **needs)
    return Cell("tune", f"tune/{name}", {"name": name}, wanted, cost, BASE)


def note(payload: Payload, text: str) -> None:
    """A line in a log beside the store that all workers share; one write is one line."""
    assert payload.store.local
    with (payload.store.local.parent / "log").open("a") as log:
        log.write(f"{payload.cell.slug.removeprefix('tune/')} {text}\n")


def log(store: Store) -> list[str]:
    assert store.local
    path = store.local.parent / "log"
    return path.read_text().splitlines() if path.exists() else []


def finish(payload: Payload, steps: int = 0) -> None:
    payload.store.write_record(Record("tune", payload.cell.slug, payload.cell.inputs, {"steps": steps}))


def quick(payload: Payload, progress: Progress) -> None:
    """Work that ends at once."""
    note(payload, "runs")
    progress(1, 1)
    finish(payload)


def faulty(payload: Payload, progress: Progress) -> None:
    """Work that fails in one cell with a sentence of ours, in another with a defect."""
    note(payload, "runs")
    if payload.cell.slug == "tune/wrong":
        raise CellError("the loss became nan at step 3: lower learning_rate")
    if payload.cell.slug == "tune/broken":
        raise KeyError("no such key")
    finish(payload)


def killed(payload: Payload, progress: Progress) -> None:
    """Work in steps that saves its state at each; its worker is killed once, after step 6."""
    progress.save_every = 0.0
    state = progress.state()
    start = torch.load(state, weights_only=True)["step"] if state else 0
    note(payload, f"starts at {start}")
    assert payload.store.local
    marker = payload.store.local.parent / f"killed-{payload.cell.fingerprint}"
    for step in range(start + 1, STEPS + 1):
        progress(step, STEPS, lambda path, step=step: torch.save({"step": step}, path))
        if step == 6 and not marker.exists() and payload.cell.slug == "tune/unlucky":
            marker.touch()
            time.sleep(0.5)  # Tune hears of a report only while the worker lives
            os.kill(os.getpid(), signal.SIGKILL)
    note(payload, f"ends at {STEPS}")
    finish(payload, STEPS)


def interrupted(payload: Payload, progress: Progress) -> None:
    """Work that saves its state at steps 3 and 4 and then fails, until a file appears."""
    progress.save_every = 0.0
    state = progress.state()
    start = torch.load(state, weights_only=True)["step"] if state else 0
    note(payload, f"starts at {start}")
    assert payload.store.local
    if not (payload.store.local.parent / "mended").exists():
        for step in (3, 4):
            progress(step, STEPS, lambda path, step=step: torch.save({"step": step}, path))
        raise CellError("not yet")
    finish(payload)


def preempted(payload: Payload, progress: Progress) -> None:
    """Work whose node is about to go, wherever it runs, three times."""
    state = progress.state()
    start = torch.load(state, weights_only=True)["step"] if state else 0
    note(payload, f"starts at {start}")
    if start < 3:
        nodes._Draining.asked, nodes._Draining.ends = time.monotonic() + 3600, time.monotonic() + 120
    for step in range(start + 1, STEPS + 1):
        progress(step, STEPS, lambda path, step=step: torch.save({"step": step}, path))
    finish(payload)


def crowded(payload: Payload, progress: Progress) -> None:
    """Work that needs a megabyte of its node's own disk, or more than that holds."""
    progress.pause = 0.1
    assert payload.store.local
    scratch = payload.store.local.parent / "disk" / payload.cell.fingerprint
    try:
        scratch.write_bytes(b"x" * (2**20 if payload.cell.slug == "tune/small" else 3 * 2**20))
    except OSError:
        scratch.unlink()
        note(payload, "found no room")
        raise
    finish(payload)


def last_of_its_worker(payload: Payload, progress: Progress) -> None:
    """Work whose worker is killed once, as it takes the next cell up."""
    note(payload, "runs")
    assert payload.store.local
    marker = payload.store.local.parent / "killed"
    if not marker.exists():
        marker.touch()
        _TrainSession.reset = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    finish(payload)


class Told:
    """What the driver hears: the share done of each cell, in the order of arrival."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def __call__(self, slug: str, share: float) -> None:
        self.heard.append((slug, share))


def run(cells: list[Cell], work: Work, store: Store, mirror: str | None, told: Told) -> list[Ended]:
    """The cells as trials of one schedule, none of which needs another; those that failed."""
    schedule = Schedule(cells)
    trials.run(schedule, {"tune": work}, store, mirror, told)
    return schedule.failed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_cells_start_in_the_order_given_and_all_are_told_as_done(store: Store) -> None:
    cells = [cell(f"c{number}", cpus=2) for number in range(4)]  # two CPUs: one at a time
    told = Told()
    assert run(cells, quick, store, None, told) == []
    assert log(store) == [f"c{number} runs" for number in range(4)]
    assert {slug for slug, share in told.heard if share == 1.0} == {one.slug for one in cells}
    assert set(store.records("tune")) == {one.slug for one in cells}
    assert store.local is not None
    assert not list((store.local / "trials").iterdir())


def test_a_cell_that_fails_stops_no_other_and_its_reason_is_told(store: Store) -> None:
    cells = [cell(name) for name in ("wrong", "broken", "right", "also-right")]
    reasons = {failure.slug: failure.reason for failure in run(cells, faulty, store, None, Told())}
    assert set(reasons) == {"tune/wrong", "tune/broken"}
    assert reasons["tune/wrong"] == "the loss became nan at step 3: lower learning_rate"
    assert "no such key" in reasons["tune/broken"]
    assert "\n" not in reasons["tune/broken"]
    assert set(store.records("tune")) == {"tune/right", "tune/also-right"}
    assert log(store).count("wrong runs") == 1  # a fault of the input is not tried again


def test_a_cell_whose_worker_is_killed_goes_on_from_its_last_checkpoint(store: Store) -> None:
    cells = [cell("unlucky"), cell("beside")]
    assert run(cells, killed, store, None, Told()) == []
    lines = [line for line in log(store) if line.startswith("unlucky")]
    assert lines[0] == "unlucky starts at 0"
    assert len(lines) == 3
    resumed = int(lines[1].rsplit(" ", 1)[1])
    assert 4 <= resumed <= 6
    assert [line for line in log(store) if line.startswith("beside")] == ["beside starts at 0", "beside ends at 10"]
    assert {record.result["steps"] for record in store.records("tune").values()} == {STEPS}


def test_a_worker_killed_between_two_cells_costs_neither(store: Store) -> None:
    cells = [cell(f"c{number}", cpus=2) for number in range(3)]
    assert run(cells, last_of_its_worker, store, None, Told()) == []
    assert sorted(log(store)) == [f"c{number} runs" for number in range(3)]


def test_a_cell_outlives_more_spot_notices_than_it_has_tries(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_RETRIES", 1)
    assert run([cell("moved")], preempted, store, None, Told()) == []
    assert log(store) == [f"moved starts at {step}" for step in range(4)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 2 MB; skips the test where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_of_a_worker_costs_time_and_a_cell_only_where_it_stays_full(
    store: Store, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_RETRIES", 2)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (2**20 + 1))

    def free() -> None:
        while "small found no room" not in log(store):
            time.sleep(0.02)
        ballast.unlink()

    freed = threading.Thread(target=free, daemon=True)
    freed.start()
    assert run([cell("small"), cell("large")], crowded, store, None, Told()) == [Ended("tune/large", DISK_FULL)]
    assert not freed.is_alive()
    assert "tune/small" in store.records("tune")
    assert log(store).count("large found no room") == 3


def test_the_next_run_goes_on_from_what_a_failed_one_left(store: Store, tmp_path: Path) -> None:
    one = cell("again")
    (failure,) = run([one], interrupted, store, None, Told())
    assert failure.reason == "not yet"
    (tmp_path / "mended").touch()
    first, *_ = sorted((tmp_path / "store" / "trials").glob("*/*/checkpoint_*"))
    os.utime(first, (time.time() + 86400,) * 2)  # the clock was set back between the two
    # Another cell of the same name but other inputs must not take its state.
    other = replace(one, inputs={"name": "other"})
    assert run([other], interrupted, Store(tmp_path / "elsewhere"), None, Told()) == []
    assert run([one], interrupted, store, None, Told()) == []
    assert log(store) == ["again starts at 0", "again starts at 0", "again starts at 4"]


def test_the_state_of_a_cell_is_not_taken_by_the_cell_after_it_in_the_same_worker(store: Store) -> None:
    cells = [cell(f"c{number}", cpus=2) for number in range(3)]
    assert run(cells, killed, store, None, Told()) == []
    assert [line for line in log(store) if "starts" in line] == [f"c{number} starts at 0" for number in range(3)]


def test_a_finished_cell_is_not_run_again(store: Store) -> None:
    done = cell("done")
    store.write_record(Record("tune", done.slug, done.inputs, {}))
    assert run([done, cell("new")], quick, store, None, Told()) == []
    assert log(store) == ["new runs"]


def test_a_cell_starts_when_what_it_needs_is_done_and_fails_with_it(store: Store) -> None:
    cells = [cell(name) for name in ("wrong", "right", "after-wrong", "after-right")]
    schedule = Schedule(cells, {"tune/after-wrong": ["tune/wrong"], "tune/after-right": ["tune/right"]})
    trials.run(schedule, {"tune": faulty}, store, None, Told())
    assert schedule.failed[1:] == [Ended("tune/after-wrong", "what it needs failed")]
    assert set(store.records("tune")) == {"tune/right", "tune/after-right"}
    assert log(store).index("right runs") < log(store).index("after-right runs")


def test_nothing_to_do_needs_no_trial(store: Store) -> None:
    assert run([], quick, store, None, Told()) == []
    assert not store.exists("trials")
