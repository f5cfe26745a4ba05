"""Cells whose store is object storage: what an earlier run left is found, and a store that is away is waited for."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import ray.cloudpickle
import torch
from local_ray import without_ray
from object_store import Proxy, uri
from small_study import tables

from app import stages, trials
from app.errors import CellError
from app.launch.session import session
from app.plan import Base, Cell, Ended, Needs, Schedule
from app.store import Record, Store
from app.study import Resources, load
from app.trials import STATE, Payload, Progress, Work

# Workers cannot import a test module, so its functions travel whole.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("workers_with_keys")]

BASE = Base("tiny", "llama", "ladder", "", None, "float32", 1_000, Resources(), False, None, {})
CELL = Cell("tune", "tune/one", {"name": "one"}, Needs(1, 0, 2**20), 1.0, BASE)


@pytest.fixture(scope="module")
def workers_with_keys(s3_port: int) -> Iterator[None]:
    """A session whose workers may write to the object store."""
    with without_ray(), session(cpus=1):
        yield


def interrupted(payload: Payload, progress: Progress) -> None:
    """Work that saves its state at steps 1 and 2 and fails; when it finds a state, it ends."""
    progress.save_every = 0.0
    state = progress.state()
    if state is None:
        for step in (1, 2):
            progress(step, 9, lambda path, step=step: torch.save({"step": step}, path))
        raise CellError("not yet")
    found = torch.load(state, weights_only=True)["step"]
    payload.store.write_record(
        Record("tune", payload.cell.slug, payload.cell.inputs, {"start": found, "at": str(state)})
    )


def impatient(payload: Payload, progress: Progress) -> None:
    """Work that writes its record, and soon tries again where it cannot."""
    progress.pause = 0.3
    payload.store.write_record(Record("tune", payload.cell.slug, payload.cell.inputs, {}))


class Silent:
    """A reporter that tells nobody."""

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None:
        pass

    def progress(self, slug: str, share: float) -> None:
        pass

    def failed(self, slug: str, reason: str) -> None:
        pass

    def waiting(self, reasons: Mapping[str, str]) -> None:
        pass


def clear_after(proxy: Proxy, requests: int) -> threading.Thread:
    """A thread that ends the disturbance once it has met so many requests."""

    def clear() -> None:
        while proxy.disturbed < requests:
            time.sleep(0.02)
        proxy.clear()

    thread = threading.Thread(target=clear, daemon=True)
    thread.start()
    return thread


def run(work: Work, store: Store) -> list[Ended]:
    schedule = Schedule([CELL])
    trials.run(schedule, {"tune": work}, store, None, lambda slug, share: None)
    return schedule.failed


def test_what_a_lost_driver_left_in_object_storage_is_found_and_the_furthest_intact_is_taken(
    s3_port: int, prefix: str
) -> None:
    store = Store(uri(s3_port, prefix))
    assert [one.reason for one in run(interrupted, store)] == ["not yet"]
    states = sorted(path for path in store.sizes("trials") if path.endswith(STATE))
    assert len(states) == 2
    store.write_bytes(states[1], b"cut")  # an upload that the driver's end cut short
    assert run(interrupted, store) == []
    found = store.records()[CELL.slug].result
    assert found["start"] == 1
    assert not Path(str(found["at"])).exists()  # nothing is left on the worker's disk


def test_a_store_that_is_away_for_a_while_costs_a_trial_nothing_but_time(proxy: Proxy, prefix: str) -> None:
    store = Store(uri(proxy.port, prefix), retries=2)  # gives a request up after 0.1 seconds
    proxy.refuse("PUT", "records")
    returning = clear_after(proxy, 7)  # more than two tries
    assert run(impatient, store) == []
    assert not returning.is_alive()
    assert CELL.slug in store.records()


def test_a_store_that_stays_away_fails_a_trial_in_its_sentence(
    proxy: Proxy, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_RETRIES", 1)
    proxy.refuse("PUT", "records")
    (failed,) = run(impatient, Store(uri(proxy.port, prefix), retries=2))
    assert failed.reason.startswith(f"s3://{Path('studies')}/{prefix}/records/tune/one.json cannot be written (")
    assert failed.reason.endswith("run the same command again once it can; finished cells are kept")


def test_a_store_that_is_away_while_models_answer_costs_a_study_nothing_but_time(
    proxy: Proxy, prefix: str, tiny_study: Path, tiny_undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stages.computing.PAUSE", 0.3)
    store = Store(uri(proxy.port, prefix), retries=2)
    proxy.refuse("PUT", "tables/responses")
    returning = clear_after(proxy, 7)  # more than two tries
    outcome = stages.run(load(tiny_study), store, None, Silent())
    assert not outcome.failures
    assert outcome.computed == 8
    assert not returning.is_alive()
    store.fetch("tables", tmp_path / "tables")
    assert tables(tmp_path) == tables(tiny_undisturbed)
