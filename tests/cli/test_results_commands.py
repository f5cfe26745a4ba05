"""`fewtune correlate` on scores of one's own, and `fewtune compare`: what they print, write and refuse."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import in_process
import pytest
from in_process import Answer

from app.analysis.own.own_scores import COLUMNS
from app.cli import results
from app.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
HARNESS = ROOT / "tests" / "analysis" / "harness"
HEAD = "base,run,family,task,few_shot,zero_shot,tuned_score,chance,n"


@pytest.fixture
def fewtune(tmp_path: Path) -> Callable[..., Answer]:
    """Run the command in this process, from an empty folder, in a terminal 200 columns wide."""
    return partial(in_process.fewtune, at=tmp_path, environment={"NO_COLOR": "1"})


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Answer]:
    """The same in a process of its own: what a command prints, and what it refuses, is seen once that way."""

    def run(*arguments: str | Path) -> Answer:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("FEWTUNE_", "RAY_"))}
        return subprocess.run(
            [sys.executable, "-m", "app.cli.main", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
            check=False,
        )

    return run


def scores(path: Path, shift: float = 0.0) -> Path:
    """Six families of one base model each, ten tasks; `shift` moves the few-shot score of one."""
    lines = [HEAD]
    for base in range(6):
        for task in range(10):
            few_shot = 0.3 + 0.03 * task + 0.02 * ((base * 10 + task * 3) % 7)
            tuned = 0.35 + 0.03 * task + 0.02 * ((base * 11 + task * 4) % 7)
            zero_shot = 0.28 + 0.02 * task + 0.02 * ((base * 3 + task) % 4)
            few_shot += shift if (base, task) == (2, 4) else 0
            name = f"base-{base}"
            lines.append(f"{name},{name}-it,f{base},t{task},{few_shot},{zero_shot},{tuned},0.25,200")
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(answer: Answer, *parts: str) -> None:
    assert answer.returncode == 2, answer
    assert "Traceback" not in answer.stdout + answer.stderr
    (line,) = answer.stderr.strip().splitlines()
    assert line.startswith("error ")
    for part in parts:
        assert part in line


def test_a_table_of_scores_is_correlated_and_reported(
    fewtune: Callable[..., Answer], started: Callable[..., Answer], tmp_path: Path
) -> None:
    scores(tmp_path / "mine.csv")
    answer = fewtune("correlate", "mine.csv")
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    assert "6 x 10" in answer.stdout
    assert "with task difficulty and model strength removed" in answer.stdout
    assert "tables and report: give --out FOLDER" in answer.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv"]
    answer = fewtune("correlate", "mine.csv", "--out", "made")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "made" / "report" / "index.html").read_text().startswith("<!DOCTYPE html>")
    names = {path.name for path in (tmp_path / "made" / "tables").iterdir()}
    assert {"scores.parquet", "pairs.parquet", "correlations.parquet"} <= names
    assert "fewtune correlate mine.csv --out made" in (tmp_path / "made" / "report" / "report.md").read_text()
    before = {path: path.read_bytes() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert started("correlate", "mine.csv", "--out", "made").returncode == 0
    assert before == {path: path.read_bytes() for path in (tmp_path / "made").rglob("*") if path.is_file()}


def test_results_of_the_harness_are_correlated_with_what_is_to_be_known(started: Callable[..., Answer]) -> None:
    answer = started("correlate", "--base", HARNESS / "base", "--tuned", HARNESS / "tuned", "--out", "made")
    assert answer.returncode == 0, answer.stderr
    assert "descriptive only: 1 base" in answer.stdout or "not estimable" in answer.stdout
    assert "org/tiny-1b-instruct was tuned from org/tiny-1b (the only base model)." in answer.stderr
    assert "No families are stated" in answer.stderr


def test_the_help_names_every_column_that_is_understood(started: Callable[..., Answer]) -> None:
    text = " ".join(started("correlate", "--help").stdout.replace("│", " ").split())
    for name, words in COLUMNS.items():
        for word in (name, *words):
            assert word in text, word


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "give a store, a table of scores, or both --base DIR and --tuned DIR"),
        ({"base": Path("b")}, "both --base DIR and --tuned DIR"),
        ({"place": "mine.csv", "base": Path("b"), "tuned": Path("t")}, "one of them"),
        ({"place": "mine.csv", "match": Path("m.csv")}, "--match and --tasks go with --base and --tuned"),
        ({"place": "somewhere", "to": Path("made")}, "--out is for scores of one's own"),
        ({"place": "absent.csv"}, "absent.csv is not there"),
        ({"base": Path("b"), "tuned": Path("t")}, "b is no folder"),
        ({"place": "mine.csv", "to": Path("store")}, "store is a store: give another folder with --out"),
    ],
)
def test_what_is_asked_for_must_be_one_thing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object], sentence: str
) -> None:
    scores(tmp_path / "mine.csv")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as fault:
        results.correlate(**asked)  # type: ignore[arg-type]
    assert sentence in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_column_that_is_not_known_is_told(started: Callable[..., Answer], tmp_path: Path) -> None:
    path = scores(tmp_path / "mine.csv")
    path.write_text(path.read_text().replace("family", "famly"))
    refused(started("correlate", "mine.csv"), "mine.csv: unknown column famly; did you mean family?")


def test_two_studies_are_compared(
    fewtune: Callable[..., Answer], started: Callable[..., Answer], tmp_path: Path
) -> None:
    for name, shift in (("a", 0.0), ("b", 0.4)):
        scores(tmp_path / f"{name}.csv", shift)
        assert fewtune("correlate", f"{name}.csv", "--out", name).returncode == 0
    answer = started("compare", "a", "b/tables")
    assert answer.returncode == 0, answer.stderr
    text = answer.stdout
    assert "Of 180 scores that both have, 1 differ" in text
    assert "base few-shot, base-2, t4: " in text
    assert "difference on the 6 runs x 10 tasks of both (6 families)" in " ".join(text.split())
    found = json.loads(fewtune("compare", "a", "b/tables", "--json").stdout)
    assert (found["matched"], found["runs"], found["tasks"], found["clusters"]) == (60, 6, 10, 6)
    (primary,) = (m for m in found["moved"] if (m["level"], m["statistic"]) == ("doubly_centred", "r"))
    assert primary["ci_low"] < primary["difference"] < primary["ci_high"]
    (x,) = (c for c in found["changes"] if c["side"] == "x")
    assert [(c["model"], c["task"]) for c in x["beyond"]] == [("base-2", "t4")]
    same = fewtune("compare", "a", "a").stdout
    assert "Every score that both have is the same." in same


def test_a_folder_without_pairs_cannot_be_compared(fewtune: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    refused(fewtune("compare", "a", "a"), "a has no pairs.parquet: give a store with a report")
