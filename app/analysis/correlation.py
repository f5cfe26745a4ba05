"""Pairs to correlations: every level, method and subset, with an interval or the reason why there is none.

Predictors appear in the column x: a condition by its name; "A - B" for the difference of two predictors' coefficients
(methods ending in -delta); "A | B" for A with B held fixed (pearson-partial). Differences are the test of whether
few-shot predicts better than the base model's own zero-shot does, and are claimed only after the check on normal
scores over tasks away from the floor (filter "median>0.15"): a rival near its floor manufactures a difference.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial as bind
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app import tables
from app.analysis import bootstrap, multiplicity, permutation
from app.analysis import coefficients as co
from app.analysis import grid as grids
from app.analysis import jackknife as jk
from app.analysis.vocabulary import FLOOR, FLOOR_FILTER, INTACT_FILTER, LEVELS, METHODS, Level, Method
from app.study import Analysis

MIN_TASKS = 10
MIN_CLUSTERS = 5

_CELL_LEVELS: tuple[Level, ...] = ("pooled", "within_task", "doubly_centred")


class _Subset(NamedTuple):
    """A filter, the cells it keeps, and what is computed on them."""

    name: str
    mask: NDArray[np.bool_]
    levels: tuple[Level, ...]
    methods: tuple[Method, ...]
    sensitivity: bool = False
    checked: bool = False
    """Bootstrap and permutations stand beside the interval."""


class _Facts(NamedTuple):
    """What pairs say of their runs and tasks."""

    bases: Mapping[str, str]
    families: Mapping[str, str]
    params: Mapping[str, float]
    """Logarithms; NaN where no size is known."""
    chance: Mapping[str, float]


class _Checks(NamedTuple):
    """What stands beside an interval."""

    boot: tuple[float, float] | None
    permuted: permutation.Permuted


class _Estimates:
    """The replicates of one grid; those of a single predictor are kept, because differences need them again."""

    def __init__(self, grid: grids.Grid, facts: _Facts) -> None:
        self.grid, self._facts = grid, facts
        self._made: dict[tuple[str, ...], jk.Replicates] = {}
        self._drawn: dict[str, co.Floats] = {}

    def single(self, level: Level, method: Method, side: str, deleting: bool) -> jk.Replicates:
        """The coefficient of predictor `side` (x or z) with y; `deleting`: with replicates."""
        key = (level, method, side)
        if key not in self._made:
            z = self.grid.sides.z
            if method == "pearson":
                a = self.grid.sides.x if side == "x" or z is None else z
                self._made[key] = _weighted(self.grid, level, a, deleting)
            else:
                self._made[key] = _general(self.grid, bind(_coefficient, level, method, side), deleting)
        return self._made[key]

    def checks(self, level: Level, sides: str) -> _Checks:
        """Beside the interval of x, of z, or of their difference ("x - z")."""
        draws = [self._draws(side)[LEVELS.index(level)] for side in sides.split(" - ")]
        boot = bootstrap.limits(draws[0] if len(draws) == 1 else draws[0] - draws[1])
        if level not in permutation.LEVELS:
            return _Checks(boot, permutation.Permuted(None, ""))
        x, y, z = self.grid.sides
        labels = [self._facts.bases, self._facts.families]
        bases, families = (
            np.unique([named[run] for run in self.grid.runs], return_inverse=True)[1] for named in labels
        )
        if len(draws) == 2 and z is not None:
            return _Checks(boot, permutation.difference(x, z, y, level, families))
        a = x if sides == "x" or z is None else z
        return _Checks(boot, permutation.correlation(a, y, level, bases, families))

    def _draws(self, side: str) -> co.Floats:
        if side not in self._drawn:
            x, y, z = self.grid.sides
            self._drawn[side] = bootstrap.pigeonhole(x if side == "x" or z is None else z, y, self.grid.clusters)
        return self._drawn[side]

    def beyond(self, level: Level, deleting: bool) -> jk.Replicates:
        """x with y, given z, the size of the models and the tasks' chance level."""
        given = (self.grid.sides.x, self.grid.sides.y, *self._held().values())
        if len(given) < 5 or not np.isfinite(given).all() or not given[0].size:
            return jk.Replicates(float("nan"), np.empty(0), np.empty(0), 0.0)

        def statistic(given: Sequence[co.Floats]) -> float:
            return co.partial_given(given[0], given[1], given[2:], level)

        if not deleting:
            return jk.Replicates(statistic(given), np.empty(0), np.empty(0), 0.0)
        return jk.leave_out_of(statistic, given, self.grid.clusters)

    def unsized(self) -> str:
        """Why `beyond` is undefined, where that is not for want of variance."""
        known = all(np.isfinite(side).all() for side in self._held().values())
        return "" if known else "the size of some model is not known"

    def unheld(self, level: Level) -> str:
        """What `beyond` cannot hold fixed."""
        same = [name for name, side in self._held().items() if side.size and co.flat(side, level)]
        return f"without variance at this level, so not held fixed: {', '.join(same)}" if same else ""

    def _held(self) -> dict[str, co.Floats]:
        x, _, z = self.grid.sides
        if z is None:
            return {}
        params = np.array([self._facts.params[run] for run in self.grid.runs])[:, None] + np.zeros_like(x)
        chance = np.array([self._facts.chance[task] for task in self.grid.tasks])[None] + np.zeros_like(x)
        return {"zero-shot": z, "log params": params, "chance": chance}

    def delta(self, level: Level, method: Method, deleting: bool) -> jk.Replicates:
        """The coefficient of x less that of z."""
        x, z = self.single(level, method, "x", deleting), self.single(level, method, "z", deleting)
        sides, clusters = self.grid.sides, self.grid.clusters
        blocks = jk.block_variance_delta(sides, level, clusters) if deleting and method == "pearson" else 0.0
        return jk.Replicates(x.estimate - z.estimate, x.by_cluster - z.by_cluster, x.by_task - z.by_task, blocks)


class _Measure(NamedTuple):
    """One row to be: its method and predictor, the scale of its interval, and how its replicates are made."""

    method: str
    x: str
    fisher: bool
    blocks: bool
    replicates: Callable[[bool], jk.Replicates]
    checks: Callable[[], _Checks] | None = None
    note: str = ""
    undefined: str = ""


def correlations(pairs: pa.Table, analysis: Analysis, study_name: str) -> pa.Table:
    """The table "correlations" of a table "pairs".

    Subsets: all pairs; role=, tuned_on= (each value present); cluster= and recipe= (where there are several); family!=
    (leave one family out), family=, task=; median> (tasks away from the floor). Where some base models were pretrained
    without tasks: bases=intact, alone and with the others after a comma. Intervals are jack2's, over families or bases
    (`analysis.cluster_by`) and tasks; beside those of Pearson's r stand the pigeonhole bootstrap's and a permutation
    test. There is none below 10 tasks or 5 clusters, nor where an estimate or a replicate is undefined; `note` says
    why, and names what was left out.

    Raises StoreError where a base, run and task occur twice.
    """
    found = grids.cells(tables.checked("pairs", pairs), analysis.cluster_by)
    conditions = (analysis.x, analysis.y, analysis.baseline)
    facts, rows = _facts(pairs), list[dict[str, object]]()
    for subset in _subsets(pairs, found):
        for row in _rows(found.where(subset.mask), facts, subset, conditions, analysis.cluster_by):
            rows.append({"study": study_name, "y": analysis.y, "filter": subset.name, **row})
    intact = grids.intact(pairs)
    main = INTACT_FILTER if intact.any() and not intact.all() else "all"
    return tables.build("correlations", multiplicity.adjusted(rows, main, analysis.x))


def _facts(pairs: pa.Table) -> _Facts:
    runs, tasks = grids.run_names(pairs), pairs["task"].to_pylist()
    columns = [pairs[name].to_pylist() for name in ("base", "family", "params", "chance")]
    bases, families, params, chance = columns
    sizes = [math.log(size) if size else math.nan for size in params]
    pick = lambda keys, given: dict(zip(keys, given, strict=True))  # noqa: E731 - four times the same
    return _Facts(pick(runs, bases), pick(runs, families), pick(runs, sizes), pick(tasks, chance))


def _subsets(pairs: pa.Table, found: grids.Cells) -> Iterator[_Subset]:
    yield _Subset("all", np.full(pairs.num_rows, True), LEVELS, METHODS, True, True)
    for name, levels, methods in (
        ("role", LEVELS, METHODS),
        ("tuned_on", LEVELS, METHODS),
        ("cluster", _CELL_LEVELS, METHODS[:1]),
        ("recipe", _CELL_LEVELS, METHODS[:1]),
        ("family", _CELL_LEVELS, METHODS[:2]),
        ("task", LEVELS[:1], METHODS[:2]),
    ):
        for _, value, mask in _values(pairs, (name,)):
            if name in ("cluster", "recipe") and mask.all():
                continue
            yield _Subset(f"{name}={value}", mask, levels, methods, name == "role", name in ("role", "tuned_on"))
            if name == "family" and not mask.all():
                yield _Subset(f"{name}!={value}", ~mask, _CELL_LEVELS, METHODS[:1])
    intact = grids.intact(pairs)
    yield from _above_floor(found, intact if intact.any() else ~intact)
    if not intact.all() and intact.any():
        yield _Subset(INTACT_FILTER, intact, LEVELS, METHODS, True, True)
        for name, value, mask in _values(pairs, ("role", "tuned_on", "family")):
            pick = mask & intact
            if pick.any():
                yield _Subset(f"{INTACT_FILTER},{name}={value}", pick, _CELL_LEVELS, METHODS[:1])
            if name == "family" and (intact & ~mask).any():
                yield _Subset(f"{INTACT_FILTER},{name}!={value}", intact & ~mask, _CELL_LEVELS, METHODS[:1])


def _values(pairs: pa.Table, names: Iterable[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Each column, each of its values as text, and the pairs that have it; null is no value."""
    for name in names:
        column = pairs[name].to_pylist()
        for value in sorted({part for part in column if part is not None}):
            label = str(value).lower() if isinstance(value, bool) else str(value)
            yield name, label, np.array([part == value for part in column], np.bool_)


def _above_floor(found: grids.Cells, intact: NDArray[np.bool_]) -> Iterator[_Subset]:
    """Intact base models on tasks whose median x, y and z all exceed `FLOOR`; nothing where there is no rival."""
    if not np.isfinite(found.z).any():
        return
    kept = np.full(len(found.tasks), False)
    for task in np.unique(found.tasks):
        mine = intact & (found.tasks == task) & np.isfinite(found.x + found.y + found.z)
        if mine.any() and all(np.median(side[mine]) > FLOOR for side in (found.x, found.y, found.z)):
            kept |= mine
    yield _Subset(FLOOR_FILTER, kept, ("doubly_centred",), METHODS[:1], True)


def _rows(
    found: grids.Cells, facts: _Facts, subset: _Subset, conditions: tuple[str, str, str | None], cluster_by: str
) -> Iterator[dict[str, object]]:
    x, _, z = conditions
    plain = _Estimates(grids.complete(found, rival=False), facts)
    has_rival = z is not None and bool(np.isfinite(found.z).any())
    rival = _Estimates(grids.complete(found, rival=True), facts) if has_rival else None
    if rival and np.array_equal(rival.grid.sides.x, plain.grid.sides.x):
        plain = rival  # z is missing nowhere: one grid serves both
    for level in subset.levels:
        for measure in _measures(plain, level, subset, x, None):
            yield _row(plain.grid, level, measure, cluster_by)
        if rival is not None:
            for measure in _measures(rival, level, subset, x, z):
                yield _row(rival.grid, level, measure, cluster_by)


def _measures(found: _Estimates, level: Level, subset: _Subset, x: str, z: str | None) -> Iterator[_Measure]:
    """Without a rival `z`: what x predicts. With one: what z predicts, and what x adds to it."""
    for method in subset.methods:
        plain = method == "pearson"
        check = {
            side: bind(found.checks, level, side) if plain and subset.checked else None for side in ("x", "z", "x - z")
        }
        if z is None:
            yield _Measure(method, x, True, plain, bind(found.single, level, method, "x"), check["x"])
        else:
            yield _Measure(method, z, True, plain, bind(found.single, level, method, "z"), check["z"])
            delta = bind(found.delta, level, method)
            yield _Measure(f"{method}-delta", f"{x} - {z}", False, plain, delta, check["x - z"])
    if "kendall" in subset.methods:
        yield from _further(found, level, x, z)
    if subset.sensitivity and level == "doubly_centred":
        if z is None:
            yield _Measure("normal-scores", x, True, False, bind(_general, found.grid, _normal_x))
        else:
            yield _Measure("normal-scores-delta", f"{x} - {z}", False, False, bind(_general, found.grid, _normal_delta))


def _further(found: _Estimates, level: Level, x: str, z: str | None) -> Iterator[_Measure]:
    """How near pairs lie to the diagonal, and what x says beyond what else is known."""
    if z is None and level in ("pooled", "model", "task"):
        yield _Measure("concordance", x, True, False, bind(_general, found.grid, bind(_concordance, level)))
    if z is not None and level in ("pooled", "doubly_centred"):
        held = bind(_general, found.grid, bind(_partial_at, level))
        yield _Measure("pearson-partial", f"{x} | {z}", True, False, held)
    if z is not None and level in ("pooled", "within_task"):
        name, beyond = f"{x} | {z}, log params, chance", bind(found.beyond, level)
        yield _Measure("pearson-partial", name, True, False, beyond, None, found.unheld(level), found.unsized())


def _row(grid: grids.Grid, level: Level, measure: _Measure, cluster_by: str) -> dict[str, object]:
    runs, tasks = grid.shape
    clusters = len(grid.cluster_names)
    refusal = _refusal(tasks, clusters, cluster_by)
    made = measure.replicates(refusal == "")
    defined = bool(np.isfinite(made.estimate))
    found = jk.interval(made, fisher=measure.fisher) if defined and not refusal else None
    notes = [*grid.notes, *([measure.note] if defined and measure.note else [])]
    if not defined:
        notes.insert(0, f"not estimable: {_undefined(grid, level, measure.undefined)}")
    elif refusal:
        notes.insert(0, refusal)
    elif found is None:
        notes.insert(0, "no interval: the estimate is exact or undefined without some family, base or task")
    elif cluster_by == "base":
        notes.append("the interval treats bases as independent")
    checks = measure.checks() if found and measure.checks else _Checks(None, permutation.Permuted(None, ""))
    if found and measure.checks and checks.boot is None:
        notes.append("no bootstrap interval: more than 1 % of its draws are undefined")
    if checks.permuted.note:
        notes.append(checks.permuted.note)
    return {
        "level": level,
        "method": measure.method,
        "x": measure.x,
        "estimate": made.estimate if defined else None,
        "ci_low": found.low if found else None,
        "ci_high": found.high if found else None,
        "p_value": found.p_value if found else None,
        "boot_low": checks.boot[0] if checks.boot else None,
        "boot_high": checks.boot[1] if checks.boot else None,
        "p_permutation": checks.permuted.p,
        "p_holm": None,
        "q_value": None,
        "tests": "",
        "n": runs * tasks,
        "n_clusters": clusters,
        "n_tasks": tasks,
        "df": found.df if found else None,
        "interval": f"jack2 by {cluster_by}{'' if measure.blocks else ', no block term'}" if found else "none",
        "note": "; ".join(notes),
    }


def _refusal(tasks: int, clusters: int, cluster_by: str) -> str:
    reasons: list[str] = []
    if clusters < MIN_CLUSTERS:
        kind = {"family": "family" if clusters == 1 else "families", "base": "base" if clusters == 1 else "bases"}
        reasons.append(f"descriptive only: {clusters} {kind[cluster_by]}, an interval needs {MIN_CLUSTERS}")
    if tasks < MIN_TASKS:
        reasons.append(f"no interval: {tasks} task{'' if tasks == 1 else 's'}, an interval needs {MIN_TASKS}")
    return "; ".join(reasons)


def _undefined(grid: grids.Grid, level: Level, otherwise: str) -> str:
    runs, tasks = grid.shape
    if not runs * tasks:
        return "no complete cells that vary"
    if co.free_cells(runs, tasks, level) < 2:
        return f"too few for this level (runs: {runs}, tasks: {tasks})"
    return otherwise or "a side has no variance at this level"


def _weighted(grid: grids.Grid, level: Level, a: co.Floats, deleting: bool) -> jk.Replicates:
    """Pearson's replicates for predictor `a`, all in one pass."""
    runs, tasks = grid.shape
    if not runs * tasks or not deleting:
        return jk.Replicates(co.at_level(a, grid.sides.y, level, "pearson"), np.empty(0), np.empty(0), 0.0)
    groups = len(grid.cluster_names)
    keep_runs = np.vstack([np.ones(runs), grid.clusters != np.arange(groups)[:, None], np.ones((tasks, runs))])
    keep_tasks = np.vstack([np.ones((1 + groups, tasks)), 1 - np.eye(tasks)])
    r = co.pearson_of_weights(a, grid.sides.y, keep_runs, keep_tasks)[LEVELS.index(level)]
    blocks = jk.block_variance_r(a, grid.sides.y, level, grid.clusters)
    return jk.Replicates(float(r[0]), r[1 : 1 + groups], r[1 + groups :], blocks)


def _general(grid: grids.Grid, statistic: jk.Statistic, deleting: bool) -> jk.Replicates:
    runs, tasks = grid.shape
    if not runs * tasks:
        return jk.Replicates(float("nan"), np.empty(0), np.empty(0), 0.0)
    if not deleting:
        return jk.Replicates(statistic(grid.sides), np.empty(0), np.empty(0), 0.0)
    return jk.leave_out(statistic, grid.sides, grid.clusters)


def _coefficient(level: Level, method: Method, side: str, sides: co.Sides) -> float:
    predictor = sides.x if side == "x" else sides.z
    return float("nan") if predictor is None else co.at_level(predictor, sides.y, level, method)


def _concordance(level: Level, sides: co.Sides) -> float:
    return co.concordance(sides.x, sides.y, level)


def _partial_at(level: Level, sides: co.Sides) -> float:
    return co.partial(sides, level)


def _normal_x(sides: co.Sides) -> float:
    return co.at_level(co.normal_scores(sides.x), co.normal_scores(sides.y), "doubly_centred", "pearson")


def _normal_delta(sides: co.Sides) -> float:
    if sides.z is None:
        return float("nan")
    x, y, z = (co.normal_scores(side) for side in (sides.x, sides.y, sides.z))
    return co.at_level(x, y, "doubly_centred", "pearson") - co.at_level(z, y, "doubly_centred", "pearson")
