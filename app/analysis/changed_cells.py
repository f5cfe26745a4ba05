"""Which scores differ between two studies by more than their errors; Holm's correction over all of them.

The errors are added as if the two studies had asked different items. Where they asked the same, the true error of the
difference is smaller, so a change that is found here is real, and one that is not may still be.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import pyarrow as pa
from scipy import stats
from statsmodels.stats.multitest import multipletests

BEYOND = 2.0
"""Standard errors of the difference from which a change is listed."""
_NAMES = {"x": "base few-shot", "z": "base zero-shot", "y": "tuned"}
Row = Mapping[str, Any]


class Cell(NamedTuple):
    """One score in both studies, as fractions; `errors` is the difference in standard errors of it."""

    side: str
    model: str
    task: str
    a: float
    b: float
    errors: float
    p_value: float
    p_holm: float


class Changes(NamedTuple):
    """One side of the pairs (x, z or y): raw scores of b less those of a."""

    side: str
    name: str
    scores: int
    mean: float
    largest: float
    largest_at: str
    tested: int
    """Those with a standard error in both studies."""
    other_metric: int
    """Those that cannot be compared: another metric, chance level or best value."""
    beyond: list[Cell]
    """Changes of more than `BEYOND` standard errors, the surest first."""


def changes(a: pa.Table, b: pa.Table) -> list[Changes]:
    """The sides that both tables of pairs have, x and z once a base model and task, y once a run and task."""
    rows = [cast(list[Row], table.to_pylist()) for table in (a, b)]
    ranges = [_ranges(table) for table in rows]
    found: list[tuple[str, int, list[Cell]]] = []
    for side in _NAMES:
        first, second = (_scores(table, side) for table in rows)
        shared = sorted(first.keys() & second.keys(), key=str)
        alike = [key for key in shared if _alike(first[key], second[key], *ranges)]
        cells = [_cell(side, key, first[key], second[key]) for key in alike]
        if shared:
            found.append((side, len(shared) - len(alike), cells))
    tested = [cell for _, _, cells in found for cell in cells if math.isfinite(cell.p_value)]
    adjusted = dict(zip(map(_key, tested), holm([cell.p_value for cell in tested]), strict=True))
    return [
        _summary(side, other, [cell._replace(p_holm=adjusted.get(_key(cell), math.nan)) for cell in cells])
        for side, other, cells in found
    ]


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the given order (Holm 1979)."""
    if not p_values:
        return []
    found: Any = multipletests(p_values, method="holm")
    return [float(p) for p in found[1]]


def _scores(rows: list[Row], side: str) -> dict[tuple[str, str | None, str], Row]:
    return {
        (row["base"], row["run"] if side == "y" else None, row["task"]): row
        for row in rows
        if row[f"{side}_raw"] is not None and math.isfinite(row[f"{side}_raw"])
    }


def _alike(a: Row, b: Row, ranges_a: Mapping[str, float], ranges_b: Mapping[str, float]) -> bool:
    if a["metric"] != b["metric"] or abs(a["chance"] - b["chance"]) > 1e-9:
        return False
    first, second = ranges_a.get(a["task"]), ranges_b.get(b["task"])
    return first is None or second is None or math.isclose(first, second, rel_tol=1e-6)


def _ranges(rows: list[Row]) -> dict[str, float]:
    """Task to its range from chance to the best value, told from a score that is not at chance."""
    return {
        row["task"]: (row[f"{side}_raw"] - row["chance"]) / row[side]
        for row in rows
        for side in _NAMES
        if row[side] is not None and abs(row[side]) > 1e-9
    }


def _cell(side: str, key: tuple[str, str | None, str], a: Row, b: Row) -> Cell:
    base, run, task = key
    before, after = float(a[f"{side}_raw"]), float(b[f"{side}_raw"])
    errors = _errors(a, b, side)
    model = base if run is None else run if run.startswith(base) else f"{base} / {run}"
    return Cell(side, model, task, before, after, errors, float(2 * stats.norm.sf(abs(errors))), math.nan)


def _errors(a: Row, b: Row, side: str) -> float:
    """The change in standard errors of it; NaN where one score has none.

    Where all answers of a side are right or wrong its error is 0, which is no error of the model: the two scores are
    then taken with one right and one wrong answer more (Agresti and Caffo 2000).
    """
    scores = [(float(row[f"{side}_raw"]), row[f"{side}_stderr"], int(row["n"])) for row in (a, b)]
    if any(stderr is None or not math.isfinite(stderr) for _, stderr, _ in scores):
        return math.nan
    (before, first, _), (after, second, _) = scores
    if before == after:
        return 0.0
    if min(first, second) > 0:
        return (after - before) / math.hypot(first, second)
    if any(n < 1 or not 0 <= p <= 1 for p, _, n in scores):
        return math.nan
    p, q = ((n * p + 1) / (n + 2) for p, _, n in scores)
    return (q - p) / math.sqrt(sum(r * (1 - r) / (n + 2) for r, (_, _, n) in zip((p, q), scores, strict=True)))


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.side, cell.model, cell.task


def _summary(side: str, other: int, cells: list[Cell]) -> Changes:
    moved = [cell.b - cell.a for cell in cells]
    largest = max(cells, key=lambda cell: abs(cell.b - cell.a), default=None)
    beyond = sorted((cell for cell in cells if abs(cell.errors) > BEYOND), key=lambda cell: -abs(cell.errors))
    return Changes(
        side,
        _NAMES[side],
        len(cells),
        sum(moved) / len(moved) if moved else 0.0,
        max(map(abs, moved), default=0.0),
        f"{largest.model}, {largest.task}" if largest and largest.b != largest.a else "",
        sum(math.isfinite(cell.p_value) for cell in cells),
        other,
        beyond,
    )
