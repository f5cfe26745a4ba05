"""The simulation of methods, in its short form: errors stay within bounds, and the document says what was found."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.analysis.design.designs import balanced
from jobs.simulate import document
from jobs.simulate.case import BETTER, EQUAL, FLOOR, Case
from jobs.simulate.cases import cases
from jobs.simulate.running import run

ROOT = Path(__file__).parents[1]
LARGE = balanced(10, 3, 3, 30, 100)


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    small = balanced(6, 1, 2, 12, 50)
    asked = [Case("floor", "difference", LARGE, FLOOR), Case("small", "coverage", small, BETTER)]
    return {one.case.name: one for one in run(asked, 100, 1)}


def test_a_floor_makes_differences_and_the_check_keeps_them_from_being_claimed(found: dict) -> None:
    claimed, unchecked = found["floor"].rate("claimed"), found["floor"].rate("jack2")
    assert claimed.rate <= 0.06 + 2 * claimed.error
    assert unchecked.rate > 0.3
    assert found["floor"].find("jack2", "delta", "doubly_centred").truth > 0.03


def test_jack2_covers_and_the_bootstrap_is_wider(found: dict) -> None:
    ours, theirs = (found["small"].find(method, "r", "doubly_centred") for method in ("jack2", "pigeonhole"))
    assert ours.coverage >= 0.92 - 2 * ours.error
    assert theirs.coverage >= 0.92 - 2 * theirs.error
    assert ours.defined == theirs.defined == 1


@pytest.mark.parametrize("name", ["demo", "ninety"])
def test_the_primary_interval_covers_and_nothing_false_is_claimed_at_the_designs_of_real_studies(name: str) -> None:
    wanted = {(name, "coverage"), (f"{name}, z at its floor", "difference"), (name, "difference")}
    own = [case for case in cases() if (case.name, case.part) in wanted]
    found = {(one.case.name, one.case.part): one for one in run(own, 60, 1)}
    for statistic in ("r", "delta"):
        row = found[name, "coverage"].find("jack2", statistic, "doubly_centred")
        assert row.coverage >= 0.92 - 2 * row.error
    for case in ((f"{name}, z at its floor", "difference"), (name, "difference")):
        claimed = found[case].rate("claimed")
        assert claimed.rate <= 0.06 + 2 * claimed.error


def test_checkpoints_taken_for_clusters_cover_less_than_their_runs() -> None:
    series = balanced(8, 1, 1, 20, 100, checkpoints=6)
    asked = [Case(by, "checkpoints", replace(series, cluster_by=by), BETTER) for by in ("base", "checkpoint")]
    whole, parts = (one.find("jack2", "r", "within_task") for one in run(asked, 60, 1))
    assert whole.coverage > parts.coverage + 0.1


def test_missing_cells_cost_no_others_and_intervals_still_cover() -> None:
    small = balanced(6, 1, 2, 12, 50)
    asked = [Case("whole", "coverage", small, BETTER), Case("holed", "missing", small, BETTER, 0.2)]
    whole, holed = run(asked, 60, 1)
    assert 0.75 < holed.kept < 0.85
    for statistic in ("r", "delta"):
        full, row = (one.find("jack2", statistic, "doubly_centred") for one in (whole, holed))
        assert row.defined == 1
        assert row.coverage >= 0.92 - 2 * row.error
        assert full.half_width < row.half_width < 1.35 * full.half_width


def test_the_number_of_processes_changes_no_figure() -> None:
    asked = [Case("tiny", "difference", balanced(6, 1, 1, 12, 20), EQUAL)]
    assert run(asked, 30, 1) == run(asked, 30, 2)


def test_a_missed_bound_is_said(found: dict) -> None:
    one = found["floor"]
    rates = [rate._replace(rate=0.3) if rate.test == "claimed" else rate for rate in one.rates]
    (missed,) = document.bounds([one._replace(rates=tuple(rates))])
    assert not missed.safe
    assert "**missed**" in document.text([one._replace(rates=tuple(rates))], "here", "")


def test_an_interval_that_is_wider_than_asked_is_told_as_a_deviation(found: dict) -> None:
    one = found["small"]
    everything = tuple(row._replace(coverage=1.0, error=0.001) for row in one.covered)
    wide = one._replace(covered=everything)
    assert all(bound.safe and not bound.kept for bound in document.bounds([wide]))
    text = document.text([wide], "here", "")
    assert "**deviates, conservative: wider than need be**" in text
    assert "small, r, task means removed 100.0" in text
    narrow = one._replace(covered=tuple(row._replace(coverage=0.85, error=0.01) for row in one.covered))
    assert "Narrower than asked: small, delta" in document.text([narrow], "here", "")
    assert not any(bound.safe for bound in document.bounds([narrow]))


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    out = tmp_path / "coverage.md"
    command = [sys.executable, "-m", "jobs.simulate", "--experiments", "3", "--workers", "1", "--out", str(out)]
    command += ["--only", "permutation"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stderr
    assert "Traceback" not in answer.stderr
    text, kept = out.read_text(), json.loads(out.with_suffix(".json").read_text())
    assert "python -m jobs.simulate --experiments 3 --only permutation" in text
    assert "standard error" in text
    names = {case["name"] for case in kept["cases"]}
    assert names == {"A", "B", "C", "demo", "ninety"}
    assert all(name in text for name in names)
