"""A study end to end, through the command line: run, run again, killed in every stage, interrupted, changed."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

STUDY = """
schema_version: 1
name: small
bases:
  - {family: llama, source: ladder, sizes: [32x2], pretraining: {tokens: 200000}}
  - {family: gpt2, source: ladder, sizes: [32x1], pretraining: {tokens: 60000}}
recipes:
  - {method: full, examples: 640}
  - {method: lora, examples: 320}
tasks: [first, last, plural, antonym]
answers: {max_new_tokens: 4}
test_items: 12
"""
TABLES = ("scores", "pairs", "correlations")


def start(study: Path, store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "run", str(study), "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """A shell that starts the tests in the background has all their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert "Traceback" not in output, output
    return output


def tables(store: Path) -> dict[str, str]:
    """Content hashes of the tables and of all responses."""
    files = [store / "tables" / f"{name}.parquet" for name in TABLES]
    files += sorted((store / "tables" / "responses").rglob("*.parquet"))
    return {str(f.relative_to(store)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def count(store: Path, kind: str) -> int:
    return len(list((store / "records" / kind).rglob("*.json")))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def undisturbed(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    process = start(study, store)
    output = finish(process)
    assert process.returncode == 0, output
    assert "38 cells computed, 0 reused, 0 failed" in output
    return store


def test_a_run_leaves_one_score_row_for_each_metric_of_each_evaluation(undisturbed: Path) -> None:
    scores = pq.read_table(undisturbed / "tables" / "scores.parquet").to_pandas()
    # 2 base models under 2 conditions and 4 tuned models under 1, on 4 tasks; 4 metrics each.
    assert len(scores) == (2 * 2 + 4) * 4 * 4
    assert scores.value.between(0, 1).all()
    assert (scores.n == 12).all()
    assert set(scores.condition) == {"base-zero-shot", "base-few-shot", "tuned-direct"}


def test_both_sides_of_a_pair_saw_the_same_items_in_the_same_order(undisturbed: Path) -> None:
    responses = undisturbed / "tables" / "responses"
    for task in ("first", "last", "plural", "antonym"):
        seen = {tuple(pq.read_table(f)["item"].to_pylist()) for f in responses.rglob(f"{task}.parquet")}
        assert len(seen) == 1


def test_the_second_run_computes_nothing_and_leaves_identical_tables(study: Path, undisturbed: Path) -> None:
    before = tables(undisturbed)
    process = start(study, undisturbed)
    output = finish(process)
    assert process.returncode == 0
    assert "0 cells computed, 38 reused, 0 failed" in output
    assert tables(undisturbed) == before


def test_a_run_killed_in_every_stage_ends_with_the_same_tables(study: Path, undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    moments: dict[str, Callable[[], bool]] = {
        "pretrain": lambda: any((store / "models").glob("*.tmp")),
        "tune": lambda: count(store, "tune") >= 1,
        "evaluate": lambda: count(store, "evaluate") >= 3,
        "analyse": lambda: (store / "tables" / "scores.parquet").exists(),
    }
    for stage, reached in moments.items():
        process = start(study, store)
        until = time.monotonic() + 240
        while not reached():
            assert process.poll() is None, f"ended before it could be killed in {stage}: {process.communicate()[0]}"
            assert time.monotonic() < until, f"never came to {stage}"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start(study, store)
    output = finish(process)
    assert process.returncode == 0, output
    assert tables(store) == tables(undisturbed)


def test_ctrl_c_says_one_sentence_and_the_next_run_goes_on(study: Path, undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = start(study, store)
    while count(store, "pretrain") < 1:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    output = finish(process)
    assert process.returncode == 1
    assert f"interrupted: what was finished is kept in {store}" in output
    process = start(study, store)
    output = finish(process)
    assert process.returncode == 0, output
    assert tables(store) == tables(undisturbed)


def test_a_changed_study_stops_and_says_what_changed(study: Path, undisturbed: Path, tmp_path: Path) -> None:
    changed = tmp_path / "small.yaml"
    changed.write_text(STUDY.replace("examples: 320", "examples: 352"))
    before = tables(undisturbed)
    process = start(changed, undisturbed)
    output = finish(process)
    assert process.returncode == 2
    assert "recipe.examples: 320 -> 352" in output
    assert "--replace" in output
    assert tables(undisturbed) == before
