"""Pairs as a grid of runs x tasks, for centring and deleting; nothing is ever filled in.

Runs and tasks on which x or y does not vary are left out. Cells that are missing stay so: correlations centre by least
squares over those that are there. What needs every cell (components of variance) takes a complete part: the run or the
task with the largest share of missing cells is left out until none is missing, in whichever of a few orders keeps most.
What was left out is named in `notes`, which every estimate carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.analysis.estimation.coefficients import Floats, Sides
from app.errors import StoreError

_NAMED = 4  # so many names stand in a note, then a count
_FLAT = 1e-12
_WEIGHTS = (1.0, 0.55, 0.7, 1.5)
"""A row's holes count so much beside a column's. With a tenth of 90 x 30 cells missing 1 keeps 17 %, the best 19 %."""


@dataclass(frozen=True)
class Cells:
    """The columns of "pairs" that correlations need, as arrays of one length."""

    runs: NDArray[np.str_]
    """base, or base / run."""
    tasks: NDArray[np.str_]
    clusters: NDArray[np.str_]
    """What an interval treats as independent: the family, or the base."""
    x: Floats
    y: Floats
    z: Floats
    """NaN where the study has no baseline."""

    def where(self, mask: NDArray[np.bool_]) -> "Cells":
        """The cells for which `mask` is true."""
        taken = (self.runs[mask], self.tasks[mask], self.clusters[mask], self.x[mask], self.y[mask], self.z[mask])
        return Cells(*taken)


@dataclass(frozen=True)
class Grid:
    """Sides are NaN where a pair is missing; `clusters` numbers the cluster of each run from 0."""

    sides: Sides
    clusters: NDArray[np.int64]
    cluster_names: tuple[str, ...]
    runs: tuple[str, ...]
    tasks: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Runs, tasks."""
        return len(self.clusters), len(self.tasks)

    @property
    def pairs(self) -> int:
        """Cells that are there."""
        return int(np.isfinite(self.sides.x).sum())


def cells(pairs: pa.Table, cluster_by: str) -> Cells:
    """The cells of a table of pairs. Raises StoreError where a base, run and task occur twice."""
    runs = run_names(pairs)
    tasks = pairs["task"].to_pylist()
    seen: set[tuple[str, str]] = set()
    for key in zip(runs, tasks, strict=True):
        if key in seen:
            raise StoreError(f"the pairs have two rows for {key[0]} on the task {key[1]}: keep one")
        seen.add(key)
    x, y, z = (np.array(pairs[name].to_pylist(), np.float64) for name in "xyz")
    clusters = np.array(pairs[cluster_by].to_pylist(), np.str_)
    return Cells(np.array(runs, np.str_), np.array(tasks, np.str_), clusters, x, y, z)


def intact(pairs: pa.Table) -> NDArray[np.bool_]:
    """Whether each pair's base model was pretrained on every task, as far as is known."""
    known = list(zip(pairs["base"].to_pylist(), pairs["pretrained_on"].to_pylist(), strict=True))
    lacking = {base for base, pretrained_on in known if pretrained_on is False}
    return np.array([base not in lacking for base, _ in known], np.bool_)


def run_names(pairs: pa.Table) -> list[str]:
    """The name of each row's run: the run's own if it begins with its base, else base / run; or the base alone."""
    both = zip(pairs["base"].to_pylist(), pairs["run"].to_pylist(), strict=True)
    return [base if run is None else run if run.startswith(base) else f"{base} / {run}" for base, run in both]


def gridded(found: Cells, rival: bool) -> Grid:
    """All pairs that have x and y; `rival`: z is needed too."""
    return _grid(found, rival, whole=False)


def complete(found: Cells, rival: bool) -> Grid:
    """The largest complete grid that leaving out runs and tasks one by one comes to; `rival`: z is needed too."""
    return _grid(found, rival, whole=True)


def _grid(found: Cells, rival: bool, *, whole: bool) -> Grid:
    runs, row = np.unique(found.runs, return_inverse=True)
    tasks, column = np.unique(found.tasks, return_inverse=True)
    x, y, z = (np.full((len(runs), len(tasks)), np.nan) for _ in range(3))
    x[row, column], y[row, column], z[row, column] = found.x, found.y, found.z
    cluster = np.full(len(runs), "", found.clusters.dtype)
    cluster[row] = found.clusters
    present = np.isfinite(x) & np.isfinite(y) & (np.isfinite(z) if rival else True)
    lost = int((~present).sum())
    x[~present] = y[~present] = z[~present] = np.nan
    i, j = _without_holes(present) if whole else (np.flatnonzero(present.any(1)), np.flatnonzero(present.any(0)))
    notes = _left_out("with missing cells" if whole else "without a pair", runs, i, tasks, j)
    if lost:
        notes = (f"no pair in {lost:,} of {present.size:,} cells", *notes)
    kept_i, kept_j = _varying(x, y, i, j)
    notes += _left_out("without variance", runs[i], np.isin(i, kept_i), tasks[j], np.isin(j, kept_j))
    take = np.ix_(kept_i, kept_j)
    names, numbers = np.unique(cluster[kept_i], return_inverse=True)
    sides = Sides(x[take], y[take], z[take] if rival else None)
    labels = [tuple(map(str, part)) for part in (names, runs[kept_i], tasks[kept_j])]
    return Grid(sides, numbers, labels[0], labels[1], labels[2], notes)


def _without_holes(present: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the largest complete part that one of several orders of leaving out comes to."""
    return max((_in_order(present, weight) for weight in _WEIGHTS), key=lambda part: len(part[0]) * len(part[1]))


def _in_order(present: NDArray[np.bool_], weight: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The fullest of holes goes first, a row before a column; what turns out complete in the end comes back.

    `weight`: how much more a row's share of holes counts than a column's.
    """
    i, j = np.arange(present.shape[0]), np.arange(present.shape[1])
    while len(i) and len(j):
        part = present[np.ix_(i, j)]
        if part.all():
            break
        rows, columns = 1 - part.mean(1), 1 - part.mean(0)
        if weight * rows.max() >= columns.max():
            i = np.delete(i, int(rows.argmax()))
        else:
            j = np.delete(j, int(columns.argmax()))
    if len(i) and len(j):
        i = np.flatnonzero(present[:, j].all(1))
        j = np.flatnonzero(present[i].all(0))
    return (i, j) if len(i) and len(j) else (i[:0], j[:0])


def _varying(
    x: Floats, y: Floats, i: NDArray[np.int64], j: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns on which both x and y vary; leaving out one can flatten another, hence the loop.

    A single row cannot flatten columns, nor a single column rows: then there is nothing to compare.
    """
    while len(i) and len(j):
        parts = [side[np.ix_(i, j)] for side in (x, y)]
        rows = np.all([_variance(part, 1) > _FLAT for part in parts], 0) if len(j) > 1 else np.full(len(i), True)
        columns = np.all([_variance(part, 0) > _FLAT for part in parts], 0) if len(i) > 1 else np.full(len(j), True)
        if rows.all() and columns.all():
            break
        i, j = i[rows], j[columns]
    return (i, j) if len(i) and len(j) else (i[:0], j[:0])


def _variance(part: Floats, axis: int) -> Floats:
    """Over the cells that are there; 0 where none is."""
    count = np.maximum(np.isfinite(part).sum(axis, keepdims=True), 1)
    apart = part - np.nansum(part, axis, keepdims=True) / count
    return (np.nansum(apart * apart, axis, keepdims=True) / count).squeeze(axis)


def _left_out(
    why: str, runs: NDArray[np.str_], i: NDArray[np.generic], tasks: NDArray[np.str_], j: NDArray[np.generic]
) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    for kind, names, kept in (("runs", runs, i), ("tasks", tasks, j)):
        mask = kept if kept.dtype == np.bool_ else np.isin(np.arange(len(names)), kept)
        gone = [str(name) for name in names[~mask.astype(bool)]]
        if gone:
            notes += (f"{len(gone)} {kind if len(gone) > 1 else kind[:-1]} {why} left out: {some(gone)}",)
    return notes


def some(names: Sequence[str]) -> str:
    """The first names and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
