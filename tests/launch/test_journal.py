"""The journal of a run: what it tells while the run goes, and what is left of it in every kind of end."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import stages
from app.errors import CellError
from app.launch.journal import Journal
from app.launch.overview import Overview, Pair, overview
from app.launch.progress import Several
from app.launch.state import State, outline, read, read_outline
from app.plan import Plan
from app.store import Record, Store
from app.study import load

STUDY = """\
schema_version: 1
name: pairs
bases:
  - {source: ladder, family: llama, sizes: [32x2, 48x2]}
recipes:
  - {method: lora, seeds: [0, 1]}
tasks: [antonym, job]
shots: {counts: [2, 4]}
"""


@pytest.fixture
def planned(write_study: Callable[..., Path]) -> Plan:
    return stages.plan(load(write_study(STUDY)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def told(store: Store, holds: Callable[[State], bool]) -> State:
    """The state, as soon as it says so."""
    for _ in range(600):
        state = read(store)
        if state and holds(state):
            return state
        time.sleep(0.05)
    raise AssertionError(f"the journal says {read(store)}")


def record(store: Store, plan: Plan, *slugs: str) -> None:
    for cell in plan.cells:
        if cell.slug in slugs:
            store.write_record(Record(cell.kind, cell.slug, cell.inputs, {}, 3600.0))


@pytest.mark.timeout(60)
def test_a_run_is_followed_from_its_store_while_it_goes(planned: Plan, store: Store) -> None:
    made, tuned = planned.made[0], planned.tunings[0]
    rest = [cell for cell in planned.cells if cell is not planned.made[1]]
    with Journal(store, planned, "job-1", every=0.1) as kept:
        assert read(store) is None  # the store may be another's
        kept.begin(rest, [planned.made[1]])
        first = told(store, lambda state: state.beat > 0)
        assert (first.phase, first.job, first.reused, first.left) == ("computing", "job-1", {"pretrain": 1}, None)
        assert first.to_do == {"pretrain": 1, "tune": 4, "evaluate": len(planned.evaluations)}
        kept.progress(made.slug, 1.0)
        kept.progress(tuned.slug, 0.25)
        kept.waiting({cell.slug: "its base model is not ready" for cell in planned.evaluations})
        state = told(store, lambda state: bool(state.waiting))
        assert state.done == {"pretrain": 1}
        assert state.running[tuned.slug].share == 0.25
        assert list(state.running) == [tuned.slug]
        assert state.waiting["its base model is not ready"].cells == len(planned.evaluations)
        assert state.left is not None
        assert state.beat > first.beat
        assert state.run == first.run
        for cell in rest:
            kept.progress(cell.slug, 1.0)
        assert told(store, lambda state: state.phase == "analysing").share == 1.0
    end = read(store)
    assert end is not None
    assert (end.phase, end.running, end.waiting, end.left) == ("done", {}, {}, None)


def test_reporters_hear_in_turn(planned: Plan, store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    with Journal(store, planned) as one, Journal(other, planned) as two:
        both = Several(one, two)
        both.begin(planned.cells, ())
        both.progress(planned.made[0].slug, 0.5)
        both.failed(planned.made[1].slug, "it fell")
        both.waiting({planned.tunings[0].slug: "its base model is not ready"})
    for place in (store, other):
        state = read(place)
        assert state is not None
        assert state.failed == {"it fell": (planned.made[1].slug,)}
        assert state.waiting["its base model is not ready"].examples == (planned.tunings[0].slug,)


@pytest.mark.parametrize(
    ("fault", "phase", "sentence"),
    [
        (CellError("the disk is full"), "failed", "the disk is full"),
        (ValueError("secret"), "failed", "ValueError"),
        (KeyboardInterrupt(), "stopped", ""),
        (SystemExit(15), "stopped", ""),
    ],
)
def test_each_end_is_told(planned: Plan, store: Store, fault: BaseException, phase: str, sentence: str) -> None:
    def run() -> None:
        with Journal(store, planned) as kept:
            kept.begin(planned.cells, ())
            raise fault

    with pytest.raises(type(fault)):
        run()
    state = read(store)
    assert state is not None
    assert (state.phase, state.fault) == (phase, sentence)


def test_a_run_that_never_had_the_store_leaves_nothing(planned: Plan, store: Store) -> None:
    with Journal(store, planned):
        pass
    assert not Path(store.root).exists() or not any(Path(store.root).iterdir())


def test_a_second_run_that_does_nothing_leaves_the_same_bytes(planned: Plan, store: Store) -> None:
    for cells, reused in ((planned.cells, ()), ((), planned.cells)):
        with Journal(store, planned) as kept:
            kept.begin(cells, reused)
        kept = {path.name: path.read_bytes() for path in Path(store.root).iterdir()}
        if cells:
            first = kept
    assert first == kept


KILLED = """
import sys, time
from pathlib import Path
from app import stages
from app.launch.journal import Journal
from app.store import Store
from app.study import load
planned = stages.plan(load(sys.argv[1]))
kept = Journal(Store(sys.argv[2]), planned, every=0.01)
kept.begin(planned.cells, ())
kept.progress(planned.tunings[0].slug, 0.5)
print("begun", flush=True)
time.sleep(60)
"""


@pytest.mark.timeout(120)
def test_a_run_that_is_killed_leaves_its_last_state_and_the_next_run_counts_what_it_took(
    planned: Plan, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "study.yaml"), store.root]
    root = Path(stages.__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(root)}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        state = told(store, lambda state: any(at.seconds > 0.2 for at in state.running.values()))
        process.send_signal(signal.SIGKILL)
    for _ in range(2):  # whole, whenever the kill came
        state = read(store)
        assert state is not None
        assert state.phase == "computing"
    with Journal(store, planned, every=0.1) as kept:
        kept.begin(planned.cells, ())
        after = told(store, lambda new: new.run != state.run)
    assert after.wasted.cores >= 0.2
    assert after.beat >= 1


def test_what_cannot_be_written_takes_no_run_along(
    planned: Plan, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Journal(store, planned, every=0.01) as kept:
        kept.begin(planned.cells, ())
        Path(store.root, "run.json").unlink(missing_ok=True)
        Path(store.root, "run.json").mkdir()  # no file can take its place
        time.sleep(0.3)
        kept.progress(planned.made[0].slug, 1.0)
    assert [entry.message for entry in caplog.records].count(caplog.records[0].message) == 1
    assert "the state of the run was not kept" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 1}', "null"])
def test_a_damaged_state_counts_as_none(store: Store, text: str) -> None:
    store.write_text("run.json", text)
    store.write_text("plan.json", text)
    assert read(store) is None
    assert read_outline(store) is None


def test_the_clock_of_the_wall_decides_nothing(planned: Plan, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(store, planned, every=0.05) as kept:
        kept.begin(planned.cells, ())
        kept.progress(planned.made[0].slug, 0.5)
        before = told(store, lambda state: state.beat > 2)
        jumped = time.time() - 1e6
        monkeypatch.setattr(time, "time", lambda: jumped)
        after = told(store, lambda state: state.beat > before.beat + 2)
    assert after.seconds >= before.seconds
    assert after.running[planned.made[0].slug].seconds >= before.running[planned.made[0].slug].seconds


def shown(store: Store, planned: Plan, *, failed: dict[str, str], running: dict[str, float]) -> Overview:
    with Journal(store, planned, every=60.0) as kept:
        kept.begin(planned.cells, ())
        for slug, share in running.items():
            kept.progress(slug, share)
        for slug, reason in failed.items():
            kept.failed(slug, reason)
        kept._write(None, "")
        return overview(store)


def test_both_sides_of_each_pair_are_shown_and_a_failed_side_voids_it(planned: Plan, store: Store) -> None:
    run = "llama-32x2-s0.lora-s0"
    done = [cell.slug for cell in planned.evaluations if "few-shot-k4" in cell.slug and "llama-32x2" in cell.slug]
    record(store, planned, *done, f"evaluate/{run}/tuned-direct/job")
    store.write_text(
        "records/evaluate/of/another/study.json", (Path(store.root) / f"records/{done[0]}.json").read_text()
    )
    broken = f"evaluate/{run}/tuned-direct/antonym"
    seen = shown(store, planned, failed={broken: "it fell"}, running={"tune/llama-48x2-s0.lora-s0": 0.5})
    grid = seen.grid()
    assert (grid.rows, set(grid.columns)) == (("llama-32x2-s0", "llama-48x2-s0"), {"antonym", "job"})
    assert grid.pairs["llama-32x2-s0", "antonym"] == Pair("done", "failed")
    assert grid.pairs["llama-32x2-s0", "antonym"].void
    assert grid.pairs["llama-32x2-s0", "job"] == Pair("done", "part")
    assert grid.pairs["llama-48x2-s0", "job"] == Pair("waiting", "running")
    assert not grid.pairs["llama-48x2-s0", "job"].void
    assert seen.counts()["evaluate"] == (3, len(planned.evaluations))
    by_family = seen.grid("family", "cluster")
    assert by_family.rows == ("llama",)
    assert sum(pair.void for pair in by_family.pairs.values()) == 1


def test_failures_are_grouped_by_their_root_and_forgotten_once_done(planned: Plan, store: Store) -> None:
    tunings = [cell.slug for cell in planned.tunings]
    failed = {tunings[0]: "out of memory", tunings[1]: "out of memory", tunings[2]: "no such revision"}
    failed |= {cell.slug: "what it needs failed" for cell in planned.evaluations if cell.run is planned.tunings[0].run}
    seen = shown(store, planned, failed=failed, running={})
    assert [(cause.reason, cause.cells) for cause in seen.causes()] == [
        ("out of memory", tuple(tunings[:2])),
        ("no such revision", (tunings[2],)),
    ]
    assert seen.dragged() == len(failed) - 3 > 0
    record(store, planned, *tunings)
    assert overview(store).causes() == []


def test_the_spend_is_that_of_records_and_the_estimate_the_plans(planned: Plan, store: Store) -> None:
    record(store, planned, planned.made[0].slug, planned.tunings[0].slug)
    seen = shown(store, planned, failed={}, running={})
    assert seen.spent().cores == pytest.approx(2.0 * planned.made[0].needs.cpus)
    estimate = sum(cell.cost * cell.needs.cpus for cell in planned.cells) / 3600
    assert seen.estimate().cores == pytest.approx(estimate)
    assert seen.estimate().gpus == 0
    again = overview(store, seen)
    assert again.done == seen.done


def test_a_store_without_a_journal_is_planned_anew(planned: Plan, store: Store, tmp_path: Path) -> None:
    store.keep("pairs", STUDY, tmp_path / "study.yaml")
    record(store, planned, planned.made[0].slug)
    seen = overview(store)
    assert seen.state is None
    assert seen.counts()["pretrain"] == (1, 2)
    assert json.loads(json.dumps(seen.outline)) == json.loads(json.dumps(outline(planned)))
