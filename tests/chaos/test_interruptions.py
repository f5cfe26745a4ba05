"""A run is killed in every stage, or interrupted: the same command goes on and ends with the same tables."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import count, finish, start, tables

pytestmark = pytest.mark.timeout(900)


@pytest.mark.chaos
def test_a_run_killed_in_every_stage_ends_with_the_same_tables(
    small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    moments: dict[str, Callable[[], bool]] = {
        "pretrain": lambda: any((store / "models").glob("*.tmp")),
        "tune": lambda: count(store, "tune") >= 1,
        "evaluate": lambda: count(store, "evaluate") >= 3,
        "analyse": lambda: (store / "tables" / "scores.parquet").exists(),
    }
    for stage, reached in moments.items():
        process = start(small_study, store)
        until = time.monotonic() + 240
        while not reached():
            assert process.poll() is None, f"ended before it could be killed in {stage}: {process.communicate()[0]}"
            assert time.monotonic() < until, f"never came to {stage}"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start(small_study, store)
    output = finish(process)
    assert process.returncode == 0, output
    assert tables(store) == tables(undisturbed)


def test_ctrl_c_says_one_sentence_and_the_next_run_goes_on(
    tiny_study: Path, tiny_undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    process = start(tiny_study, store)
    while count(store, "pretrain") < 1:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    output = finish(process)
    assert process.returncode == 1
    assert f"interrupted: what was finished is kept in {store}" in output
    process = start(tiny_study, store)
    output = finish(process)
    assert process.returncode == 0, output
    assert tables(store) == tables(tiny_undisturbed)
