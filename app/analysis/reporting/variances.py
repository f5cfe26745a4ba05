"""Components of variance for the report: which part of all variance each is, and how its two sides correlate."""

from typing import Any, NamedTuple

import pyarrow as pa

from app.analysis.answer import number

ORDER = ("task", "model", "interaction")


class Component(NamedTuple):
    """One component; shares are of the side's whole variance, None where a part is not estimable."""

    component: str
    x_variance: float | None
    y_variance: float | None
    x_share: float | None
    y_share: float | None
    correlation: str
    interval: str
    note: str


class Split(NamedTuple):
    """The components of one predictor with the tuned scores, in one subset; `noise`: inside or removed."""

    x: str
    y: str
    filter: str
    noise: str
    lines: list[Component]


def splits(table: pa.Table | None) -> list[Split]:
    """Every predictor, subset and treatment of noise, in the table's order; empty without a table."""
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for row in [] if table is None else table.to_pylist():
        groups.setdefault((row["x"], row["y"], row["filter"], row["noise"]), []).append(row)
    return [Split(*key, [_line(row, rows) for row in _ordered(rows)]) for key, rows in groups.items()]


def _ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {name: place for place, name in enumerate(ORDER)}
    return sorted(rows, key=lambda row: known.get(row["component"], len(ORDER)))


def _line(row: dict[str, Any], rows: list[dict[str, Any]]) -> Component:
    bounds = "" if row["ci_low"] is None else f"[{number(row['ci_low'])}, {number(row['ci_high'])}]"
    variances = (row["x_variance"], row["y_variance"])
    shares = (_share(row, rows, "x_variance"), _share(row, rows, "y_variance"))
    return Component(row["component"], *variances, *shares, number(row["correlation"]), bounds, row["note"])


def _share(row: dict[str, Any], rows: list[dict[str, Any]], name: str) -> float | None:
    """A negative estimate stands as it is in the table but takes no part in the shares."""
    parts = [other[name] for other in rows]
    if any(part is None for part in parts):
        return None
    total = sum(max(part, 0.0) for part in parts)
    return max(row[name], 0.0) / total if total > 0 else None
