"""Processes of a run die in the middle: it ends with the tables of an undisturbed run."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
from small_study import count, finish, start, tables

pytestmark = pytest.mark.timeout(600)


def worker(run: Popen[str], title: str) -> psutil.Process | None:
    """A Ray worker of a run whose process title holds `title`, while it works."""
    for process in psutil.Process(run.pid).children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                return process
        except psutil.NoSuchProcess:
            continue
    return None


def kill(run: Popen[str], title: str, when: Callable[[], bool]) -> None:
    """SIGKILL such a worker, once `when` holds."""
    until = time.monotonic() + 240
    while not when() or (victim := worker(run, title)) is None:
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < until, f"no {title} to kill"
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)


def test_a_killed_trial_and_a_killed_evaluation_actor_cost_nothing_but_time(
    small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    run = start(small_study, store)
    kill(run, "ray::ImplicitFunc", lambda: count(store, "pretrain") >= 1)
    kill(run, "(Responder)", lambda: count(store, "evaluate") >= 1)
    output = finish(run)
    assert run.returncode == 0, output
    assert "38 cells computed, 0 reused, 0 failed" in output
    assert tables(store) == tables(undisturbed)


def test_a_second_run_on_a_store_refuses_while_the_first_goes_on(
    tiny_study: Path, tiny_undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    first = start(tiny_study, store)
    while not (store / "store.json").exists():
        assert first.poll() is None
        time.sleep(0.02)
    second = start(tiny_study, store)
    refusal = finish(second)
    assert second.returncode != 0
    assert f"another run is using {store}" in refusal
    assert first.poll() is None
    assert "8 cells computed, 0 reused, 0 failed" in finish(first)
    assert tables(store) == tables(tiny_undisturbed)
