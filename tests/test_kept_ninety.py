"""The figures that docs/ninety states are those of its tables, which this version reads."""

import re
from pathlib import Path

import numpy as np
import pytest

from app import tables
from app.analysis.answer import Row, answer, find, rows_of

KEPT = Path(__file__).parents[1] / "docs" / "ninety"
TEXT = (KEPT / "README.md").read_text().replace("−", "-")
FEW, ZERO = "base-few-shot", "base-zero-shot"
LINES = {
    "task and model means removed (primary)": ("doubly_centred", "all"),
    "task means removed": ("within_task", "all"),
    "all pairs as they are": ("pooled", "all"),
    "means of models": ("model", "all"),
    "primary, tasks that the own model was not tuned on": ("doubly_centred", "tuned_on=false"),
}
"""A line of the table to its level and filter."""


def told(value: float | None, sign: str = "") -> str:
    assert value is not None
    return re.sub(r"\b0\.", ".", f"{value:{sign}.2f}")


def with_interval(row: Row | None, sign: str = "") -> str:
    assert row is not None
    return f"{told(row.estimate, sign)} [{told(row.ci_low, sign)}, {told(row.ci_high, sign)}]"


def said(pattern: str) -> list[tuple[str, ...]]:
    """What a pattern, in which a blank is any space, captures in the text."""
    return re.findall(pattern.replace(" ", r"\s+"), TEXT)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rows_of(tables.read("correlations", KEPT / "tables" / "correlations.parquet"))


def test_the_table_of_correlations_is_that_of_the_study(rows: list[Row]) -> None:
    (head, body) = re.findall(r"(\| Pearson's r with .*\n)\|[-|]+\n((?:\|.*\n)+)", TEXT)[0]
    assert [cell.strip() for cell in head.split("|")[2:5]] == ["base few-shot", "base zero-shot", "difference"]
    lines = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in body.splitlines()]
    assert [name for name, *_ in lines] == list(LINES)
    for name, *cells in lines:
        level, subset = LINES[name]
        few, zero = (find(rows, level, filter=subset, x=side) for side in (FEW, ZERO))
        delta = find(rows, level, "pearson-delta", filter=subset)
        assert cells == [with_interval(few), with_interval(zero), with_interval(delta, "+")], name


def test_what_stands_beside_the_jackknife_is_that_of_the_study(rows: list[Row]) -> None:
    main = find(rows, "doubly_centred", x=FEW)
    assert main is not None
    assert said(r"bootstrap gives (\S+) to (\S+) for the primary estimate") == [
        (told(main.boot_low), told(main.boot_high))
    ]
    assert main.p_permutation is not None
    assert bool(said(r"permutations that respect families p < \.001")) == (main.p_permutation < 0.001)
    (free,) = said(r"freed of the noise of 60 items it is (\S+ \[[^]]+\])")
    assert free == with_interval(find(rows, "doubly_centred", "pearson-corrected", x=FEW))
    (normal,) = said(r"on normal scores within each task (\S+ \[[^]]+\])")
    assert normal == with_interval(find(rows, "doubly_centred", "normal-scores", x=FEW))
    without = [
        row.estimate
        for row in rows
        if row.filter.startswith("family!=") and (row.level, row.method, row.x) == ("doubly_centred", "pearson", FEW)
    ]
    assert len(without) == 6
    ((low, high),) = said(r"Leaving any one family out moves the primary estimate between (\S+) and (\.\d+)")
    assert (low, high) == (told(min(map(float, without))), told(max(map(float, without))))


def test_a_better_predictor_is_claimed_only_as_far_as_the_tables_carry_it(rows: list[Row]) -> None:
    assert ("**not claimed**" in TEXT) == ("no claim is made" in answer(rows).rival)


def test_pairs_and_mean_scores_are_those_of_the_study() -> None:
    pairs = tables.read("pairs", KEPT / "tables" / "pairs.parquet").to_pylist()
    assert said(r"([\d,]+) pairs, none missing") == [f"{len(pairs):,}"]
    assert {row["metric"] for row in pairs} == {"exact_match"}
    tuned_on = {row["task"] for row in pairs if row["tuned_on"]}
    assert (len(tuned_on), len({row["task"] for row in pairs} - tuned_on)) == (17, 14)
    means = {
        (side, known): told(float(np.mean([row[f"{side}_raw"] for row in pairs if (row["task"] in tuned_on) is known])))
        for side in "xyz"
        for known in (False, True)
    }
    (zero,) = said(r"base zero-shot (\S+) on the 14 tasks never tuned on and (\S+) on the 17 others")
    (few,) = said(r"base few-shot (\S+) and (\.\d+);")
    (tuned,) = said(r"tuned zero-shot (\S+) and (\.\d+)\.")
    assert (zero, few, tuned) == tuple((means[side, False], means[side, True]) for side in "zxy")
