"""The limit test as a forest: what leaving tasks out of pretraining does to few-shot and to tuned scores."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from app.analysis.reporting.forest import Bar, scale
from app.grammar import counted


class Effect(NamedTuple):
    """One line: scores without and with the tasks in pretraining, fractions; their difference in percentage points."""

    group: str
    label: str
    code: str
    """x, y or z."""
    side: str
    without: float | None
    intact: float | None
    effect: str
    interval: str
    rests_on: str
    note: str
    bar: Bar


class Effects(NamedTuple):
    """`overall` pools families and sizes, `single` shows each; both to one scale with its ticks."""

    metric: str
    overall: list[Effect]
    single: list[Effect]
    zero: float
    ticks: list[tuple[float, str]]


def effects(table: pa.Table | None, names: Mapping[str, str]) -> Effects | None:
    """The table "limits" as lines, with the sides named by `names`; None where there is nothing to compare."""
    if table is None or not table.num_rows:
        return None
    rows: list[dict[str, Any]] = table.to_pylist()
    rows.sort(key=lambda r: (r["tuned_on"], r["family"], r["params"], "xyz".index(r["side"])))
    measured = scale((row[name] for row in rows for name in ("effect", "ci_low", "ci_high")), -10, 1)
    before = ""

    def line(row: Mapping[str, Any]) -> Effect:
        nonlocal before
        bounds = [_points(row[name]) for name in ("ci_low", "ci_high")]
        tasks = len(row["tasks"])
        rests_on = (
            f"{counted(row['bases_without'], 'base model')} without, {row['bases_intact']} with; "
            f"{counted(tasks, 'task')}, {row['pairs']:,} pairs"
        )
        # What a line rests on is said once, until it changes.
        same, before = rests_on == before, rests_on
        return Effect(
            ("tuned on" if row["tuned_on"] else "held out from tuning"),
            "" if row["family"] == "all" else f"{row['family']}, {row['params']:,}",
            row["side"],
            names.get(row["side"], row["side"]),
            row["without"],
            row["intact"],
            _points(row["effect"]),
            "" if row["ci_low"] is None else f"[{bounds[0]}, {bounds[1]}]",
            "" if same else rests_on,
            row["note"],
            Bar(*(measured.place(row[name]) for name in ("effect", "ci_low", "ci_high"))),
        )

    overall = [line(row) for row in rows if row["family"] == "all"]
    single = [line(row) for row in rows if row["family"] != "all"]
    ticks = [(measured.place(t / 10) or 0.0, f"{10 * t}".replace("-", "−")) for t in measured.tenths]
    return Effects(rows[0]["metric"], overall, single, measured.place(0) or 0.0, ticks)


def _points(value: float | None) -> str:
    """A difference of fractions in percentage points."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")
