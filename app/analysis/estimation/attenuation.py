"""Correlations corrected for the noise of few items, by cross-half products.

All models answer the same items, so that a hard half is hard for both sides: p (1 - p) / n is not the noise, and a
correction by it overshoots. Instead each task's items are split in two at random, the same way for all models, and only
products across halves are used: r = (S(xA, yB) + S(xB, yA)) / 2 / sqrt(S(xA, xB) S(yA, yB)), S the mean cross-product
of scores centred at the level, each averaged over `SPLITS` splits. What the draw of demonstrations adds stays inside.
The idea is Spearman's (1904, doi:10.2307/1412159); docs/coverage.md has how often jack2's intervals of it cover.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app import tables
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation.agreement import codes, pairs_of
from app.analysis.estimation.coefficients import Floats, centred, free_cells
from app.analysis.estimation.refusals import alike, lone, too_few
from app.analysis.vocabulary import INTACT_FILTER, Level
from app.errors import StoreError
from app.study import Analysis

SPLITS = 20
MIN_ITEMS = 4  # two in each half
MIN_RELIABILITY = 0.4
MAX_WIDTH = 0.6
LEVELS: tuple[Level, ...] = ("pooled", "within_task", "doubly_centred")

_NULLS = (
    "ci_low", "ci_high", "p_value", "boot_low", "boot_high", "p_permutation", "p_holm", "q_value", "df",
)  # fmt: skip


class Halves(NamedTuple):
    """One side: chance-corrected scores of both halves, runs x tasks x splits, and of all items, runs x tasks."""

    a: Floats
    b: Floats
    whole: Floats


class Answers(NamedTuple):
    """The items of many pairs as arrays, one entry an item of a pair."""

    pair: NDArray[np.int64]
    """Row in `pairs`."""
    item: NDArray[np.int64]
    """A number for each item's name; larger for names that sort later."""
    right: dict[str, Floats]
    """Side to share of right answers; NaN where it was not judged."""
    pairs: pa.Table
    """The rows of the table "pairs" that have items."""


class Judged(NamedTuple):
    """A corrected coefficient or difference, its interval if it has one, and why it is refused; empty: it is not."""

    estimate: float
    interval: jk.Interval | None
    why: str


class Loaded(NamedTuple):
    """A grid and the halves of its sides."""

    grid: grids.Grid
    bases: int
    """Base models among its runs."""
    families: int
    halves: dict[str, Halves]
    notes: tuple[str, ...]


def answers(items: pa.Table, pairs: pa.Table) -> Answers:
    """Items joined to their pairs. Raises StoreError for items without a pair and for pairs that occur twice."""
    tables.checked("items", items)
    tables.checked("pairs", pairs)
    number, heads = pairs_of(items)
    names = ("base", "run", "task")
    place = {tuple(row.values()): at for at, row in enumerate(pairs.select(names).to_pylist())}
    if len(place) < pairs.num_rows:
        raise StoreError("the pairs have two rows for one base, run and task: keep one")
    keys = [tuple(row.values()) for row in items.select(names).take(pa.array(heads)).to_pylist()]
    unknown = [key for key in keys if key not in place]
    if unknown:
        raise StoreError(f"the items of {unknown[0]} belong to no pair: make both tables from the same study")
    labels = items["item"].combine_chunks().dictionary_encode()
    rank = np.empty(len(labels.dictionary), np.int64)
    rank[np.asarray(pc.call_function("sort_indices", [labels.dictionary]), np.int64)] = np.arange(len(rank))
    right = {side: np.asarray(pc.fill_null(items[side], np.nan), np.float64) for side in "xyz"}
    kept = pairs.take(pa.array([place[key] for key in keys], pa.int64()))
    return Answers(number, rank[np.asarray(labels.indices, np.int64)], right, kept)


def halve(right: Floats, chance: Floats, place: int) -> tuple[Floats, Floats]:
    """Scores of two halves, runs x splits each, from runs x items; `chance` by run; `place` seeds the splits."""
    count = right.shape[1]
    order = np.random.default_rng((0, place)).random((SPLITS, count)).argsort(1)
    first = np.zeros((SPLITS, count))
    np.put_along_axis(first, order[:, : count // 2], 1.0, 1)
    c = chance[:, None]
    a, b = right @ first.T / (count // 2), right @ (1 - first).T / (count - count // 2)
    return (a - c) / (1 - c), (b - c) / (1 - c)


def corrected_r(sides: Sequence[Floats], level: Level) -> float:
    """The corrected coefficient of halves (xA, xB, yA, yB); NaN where a product across halves is not positive."""
    xa, xb, ya, yb = sides
    if free_cells(xa[..., 0], level) < 2:
        return float("nan")
    x, y = _centred(xa, level), _centred(ya, level)  # centring is a projection: one factor is enough
    both = (_mean(x, yb) + _mean(y, xb)) / 2
    own = (_mean(x, xb), _mean(y, yb))
    return both / (own[0] * own[1]) ** 0.5 if min(own) > 0 else float("nan")


def corrected_delta(sides: Sequence[Floats], level: Level) -> float:
    """The coefficient of x and y less that of z and y: (xA, xB, yA, yB, zA, zB)."""
    return corrected_r(sides[:4], level) - corrected_r((*sides[4:], *sides[2:4]), level)


def influence(sides: Sequence[Floats], level: Level) -> Floats:
    """The influence of each cell on the corrected coefficient of (xA, xB, yA, yB), runs x tasks; mean 0.

    Of c / sqrt(v w), a quotient of means: c' / sqrt(v w) - r / 2 (v' / v + w' / w), with the cells' own products.
    """
    xa, xb, ya, yb = (_centred(side, level) for side in sides)
    c, v, w = ((xa * yb + xb * ya).mean(2) / 2, (xa * xb).mean(2), (ya * yb).mean(2))
    under = (np.nanmean(v) * np.nanmean(w)) ** 0.5
    return c / under - np.nanmean(c) / under / 2 * (v / np.nanmean(v) + w / np.nanmean(w))


def replicates(sides: Sequence[Floats], level: Level, clusters: NDArray[np.int64]) -> jk.Replicates:
    """jack2's replicates of the corrected coefficient of four halves, or of the difference of six; both defined.

    With the block term, on Fisher's scale for a coefficient: without it intervals are a fifth wider and cover all.
    """
    delta = len(sides) > 4
    found = jk.leave_out_of(partial(corrected_delta if delta else corrected_r, level=level), sides, clusters)
    if delta:
        psi = influence(sides[:4], level) - influence((*sides[4:], *sides[2:4]), level)
    else:
        psi = influence(sides, level) / (1 - found.estimate**2)
    return found._replace(blocks=jk.block_variance(psi, clusters))


def judged(
    halves: Sequence[Floats], level: Level, clusters: NDArray[np.int64], known: Mapping[str, float], cluster_by: str
) -> Judged:
    """The coefficient of four halves, or the difference of six, and jack2's interval, unless either is refused.

    `known`: the reliability of each side. Too few clusters or tasks leave no interval, which is no refusal.
    """
    delta = len(halves) > 4
    estimate = (corrected_delta if delta else corrected_r)(halves, level)
    why = _refused(estimate, known, 2.0 if delta else 1.0)
    if why or too_few(int(clusters.max()) + 1, halves[0].shape[1], cluster_by):
        return Judged(estimate, None, why)
    between = jk.interval(replicates(halves, level, clusters), fisher=not delta)
    why = _too_wide(between, cluster_by)
    return Judged(estimate, None if why else between, why)


def reliability(side: Halves, level: Level) -> float:
    """Share of the variance of scores on all items that is not noise of items: S(A, B) / S(all, all)."""
    total = _mean(_centred(side.whole, level), side.whole)
    return _mean(_centred(side.a, level), side.b) / total if total > 0 else float("nan")


def corrected(items: pa.Table, pairs: pa.Table, analysis: Analysis, study_name: str) -> list[dict[str, object]]:
    """Rows of the table "correlations": methods pearson-corrected, pearson-corrected-delta and reliability-x, -y, -z.

    Over all pairs with items, each role, and the base models that lack no task. Intervals are jack2's. Refused is a
    coefficient past 1, one with a product across halves that is not positive (without some cluster or task too), with
    a reliability below `MIN_RELIABILITY`, or with an interval wider than `MAX_WIDTH`. Empty where there are no items.
    Raises as `answers`.
    """
    given = answers(items, pairs)
    absent = _absent(given, pairs)
    rows: list[dict[str, object]] = []
    for name, mask in _subsets(given.pairs):
        told = {"study": study_name, "y": analysis.y, "filter": name}
        plain = load(given, mask, analysis.cluster_by, rival=False)
        rows += [told | row for row in _rows(plain, "x", analysis.x, analysis)]
        if analysis.baseline and given.pairs["z"].null_count < given.pairs.num_rows:
            rival = load(given, mask, analysis.cluster_by, rival=True)
            rows += [told | row for row in _rows(rival, "z", analysis.baseline, analysis)]
    return [row | {"note": f"{row['note']}; {absent}"} for row in rows] if absent else rows


def _absent(given: Answers, pairs: pa.Table) -> str:
    """How many pairs have no items, and on which tasks; empty where all have."""
    lost = pairs.num_rows - given.pairs.num_rows
    before, after = (Counter(table["task"].to_pylist()) for table in (pairs, given.pairs))
    tasks = sorted(str(task) for task in before if before[task] > after[task])
    return f"{lost} pairs without results of single items left out: {grids.some(tasks)}" if lost else ""


def _subsets(pairs: pa.Table) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The filters of `corrected`, each with the pairs that it keeps."""
    if not pairs.num_rows:
        return
    yield "all", np.full(pairs.num_rows, True)
    role = np.array(pairs["role"].to_pylist(), np.str_)
    for value in np.unique(role):
        yield f"role={value}", role == value
    intact = grids.intact(pairs)
    if intact.any() and not intact.all():
        yield INTACT_FILTER, intact


def load(given: Answers, mask: NDArray[np.bool_], cluster_by: str, rival: bool, *, whole: bool = False) -> Loaded:
    """The grid of the masked pairs whose items both sides answered, and its halves; `whole`: a complete part of it."""
    sides = "xyz" if rival else "xy"
    judged = np.all([np.isfinite(given.right[side]) for side in sides], 0)
    mask = mask & (np.bincount(given.pair, judged, given.pairs.num_rows) > 0)
    tasks, notes = _few_items(given, mask, judged)
    found = grids.cells(given.pairs, cluster_by)
    grid = (grids.complete if whole else grids.gridded)(found.where(mask & ~np.isin(found.tasks, tasks)), rival)
    run = {name: at for at, name in enumerate(grid.runs)}
    task = {name: at for at, name in enumerate(grid.tasks)}
    row = np.array([run.get(name, -1) if kept else -1 for name, kept in zip(found.runs, mask, strict=True)], np.int64)
    column = np.array([task.get(name, -1) for name in found.tasks], np.int64)
    chance = np.zeros(grid.shape)
    inside = (row >= 0) & (column >= 0)
    chance[row[inside], column[inside]] = np.array(given.pairs["chance"].to_pylist(), np.float64)[inside]
    parts: dict[str, list[tuple[Floats, Floats, Floats]]] = {side: [] for side in sides}
    lost = 0
    for at in range(len(grid.tasks)):
        mine = np.flatnonzero((row[given.pair] >= 0) & (column[given.pair] == at))
        names, where = np.unique(given.item[mine], return_inverse=True)
        counts = np.bincount(where, judged[mine], len(names))
        shared = counts == np.isfinite(grid.sides.x[:, at]).sum()  # answered by every run that has the task
        lost += int((~shared).sum())
        for side in sides:
            matrix = np.full((grid.shape[0], len(names)), np.nan)
            matrix[row[given.pair[mine]], where] = given.right[side][mine]
            kept = matrix[:, shared]
            c = chance[:, at]
            parts[side].append((*halve(kept, c, at), (kept.mean(1) - c) / (1 - c)))
    halves = {side: _stack(part) for side, part in parts.items()} if grid.tasks else {}
    if lost:
        notes += (f"{lost} items left out that not every run answered",)
    names, columns = grids.run_names(given.pairs), (given.pairs[name].to_pylist() for name in ("base", "family"))
    named = (dict(zip(names, column, strict=True)) for column in columns)
    bases, families = (len({one[run] for run in grid.runs}) for one in named)
    return Loaded(grid, bases, families, halves, (*grid.notes, *notes))


def _few_items(given: Answers, mask: NDArray[np.bool_], judged: NDArray[np.bool_]) -> tuple[list[str], tuple[str, ...]]:
    """Tasks of which fewer than `MIN_ITEMS` items were answered by every run that answered any, and a note."""
    task = codes(given.pairs["task"])
    names = given.pairs["task"].unique().to_pylist()
    few: list[str] = []
    for code, name in enumerate(names):
        mine = (mask & (task == code))[given.pair]
        runs = len(np.unique(given.pair[mine & judged]))
        counts = np.unique(given.item[mine & judged], return_counts=True)[1]
        if mine.any() and int((counts == runs).sum()) < MIN_ITEMS:
            few.append(str(name))
    note = f"tasks with fewer than {MIN_ITEMS} items that every run answered left out: {grids.some(sorted(few))}"
    return few, (note,) if few else ()


def _stack(parts: Sequence[tuple[Floats, Floats, Floats]]) -> Halves:
    a, b, whole = (np.stack([part[at] for part in parts], 1) for at in range(3))
    return Halves(a, b, whole)


def _rows(found: Loaded, side: str, condition: str, analysis: Analysis) -> Iterator[dict[str, object]]:
    """All levels of one predictor; of z, the difference too."""
    for level in LEVELS:
        sides = ("x", "y", "z") if side == "z" else ("x", "y")
        known = {name: reliability(found.halves[name], level) for name in sides if found.halves}
        own = {name: value for name, value in known.items() if name in (side, "y")}
        grids_ = [half for name in (side, "y") if found.halves for half in found.halves[name][:2]]
        yield _row(found, level, "pearson-corrected", condition, own, grids_, analysis)
        if side == "z":
            grids_ = [half for name in "xyz" if found.halves for half in found.halves[name][:2]]
            label = f"{analysis.x} - {condition}"
            yield _row(found, level, "pearson-corrected-delta", label, known, grids_, analysis)
        for name in ("x", "y") if side == "x" else ("z",):
            yield _reliability_row(found, level, name, condition, known.get(name, float("nan")))


def _row(
    found: Loaded,
    level: Level,
    method: str,
    x: str,
    known: dict[str, float],
    halves: Sequence[Floats],
    analysis: Analysis,
) -> dict[str, object]:
    """One corrected coefficient, or why there is none."""
    why = _lacking(found)
    estimate, between = float("nan"), None
    if not why:
        estimate, between, why = judged(halves, level, found.grid.clusters, known, analysis.cluster_by)
    few = too_few(len(found.grid.cluster_names), len(found.grid.tasks), analysis.cluster_by)
    few = few or alike(level, found.bases, found.families, analysis.cluster_by)
    between = None if few else between
    notes = [why or few] if why or few else []
    if not why:
        notes.append("reliability " + ", ".join(f"{name} {value:.2f}" for name, value in sorted(known.items())))
        notes += ["the interval treats bases as independent"] if between and analysis.cluster_by == "base" else []
    row = _empty(found, level, method, x, [*notes, *found.notes]) | {"estimate": None if why else estimate}
    if between is None:
        return row
    told = {"ci_low": between.low, "ci_high": between.high, "p_value": between.p_value, "df": between.df}
    return row | told | {"interval": f"jack2 by {analysis.cluster_by}"}


def _lacking(found: Loaded) -> str:
    """Why there may be no estimate at all."""
    if not found.halves:
        return "not estimable: no pairs with items"
    alone = lone(found.bases, len(found.grid.tasks))
    return f"not estimable: {alone}" if alone else ""


def _refused(estimate: float, known: Mapping[str, float], most: float) -> str:
    if not np.isfinite(estimate):
        return "not estimable: a product across halves is not positive"
    low = [f"{name} {value:.2f}" for name, value in sorted(known.items()) if not value >= MIN_RELIABILITY]
    if low:
        return f"not estimable: reliability below {MIN_RELIABILITY} ({', '.join(low)})"
    return f"not estimable: {estimate:.2f} lies past {most:.0f}" if abs(estimate) > most else ""


def _too_wide(between: jk.Interval | None, cluster_by: str) -> str:
    if between is None:
        return f"not estimable: undefined, past 1 or exact without some {cluster_by} or task"
    width = between.high - between.low
    return f"not estimable: its interval is {width:.2f} wide, more than {MAX_WIDTH}" if width > MAX_WIDTH else ""


def _reliability_row(found: Loaded, level: Level, side: str, condition: str, value: float) -> dict[str, object]:
    notes = ["share of the variance that is not noise of items"]
    alone = _lacking(found)
    if alone:
        notes = [alone]
    elif not np.isfinite(value):
        notes = ["not estimable: a side has no variance at this level"]
    elif value < 0:
        notes.append("a negative estimate means that the noise hides all of it")
    row = _empty(found, level, f"reliability-{side}", condition, [*notes, *found.notes])
    return row | {"estimate": value if np.isfinite(value) and not alone else None}


def _empty(found: Loaded, level: Level, method: str, x: str, notes: Sequence[str]) -> dict[str, object]:
    return {
        **dict.fromkeys(_NULLS), "level": level, "method": method, "x": x, "estimate": None, "tests": "",
        "n": found.grid.pairs, "n_clusters": len(found.grid.cluster_names), "n_tasks": len(found.grid.tasks),
        "interval": "none", "note": "; ".join(notes),
    }  # fmt: skip


def _centred(scores: Floats, level: Level) -> Floats:
    """Runs x tasks (x splits), centred at the level; a projection."""
    found = centred(scores, level)
    return found - np.nanmean(found, (0, 1)) if level == "pooled" else found


def _mean(a: Floats, b: Floats) -> float:
    return float(np.nanmean(a * b))
