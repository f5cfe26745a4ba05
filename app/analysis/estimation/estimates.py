"""Estimates on one grid of runs and tasks: each with its jackknife replicates, and the checks beside an interval."""

import math
from collections.abc import Mapping, Sequence
from functools import partial as bind
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.analysis.estimation import bootstrap, permutation
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.vocabulary import LEVELS, Level, Method


class Facts(NamedTuple):
    """What pairs say of their runs and tasks."""

    bases: Mapping[str, str]
    families: Mapping[str, str]
    params: Mapping[str, float]
    """Logarithms; NaN where no size is known."""
    chance: Mapping[str, float]


class Checks(NamedTuple):
    """What stands beside an interval."""

    boot: tuple[float, float] | None
    permuted: permutation.Permuted


class Estimates:
    """The replicates of one grid; those of a single predictor are kept, because differences need them again."""

    def __init__(self, grid: grids.Grid, facts: Facts) -> None:
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
                self._made[key] = general(self.grid, bind(_coefficient, level, method, side), deleting)
        return self._made[key]

    def checks(self, level: Level, sides: str) -> Checks:
        """Beside the interval of x, of z, or of their difference ("x - z")."""
        draws = [self._draws(side)[LEVELS.index(level)] for side in sides.split(" - ")]
        boot = bootstrap.limits(draws[0] if len(draws) == 1 else draws[0] - draws[1])
        if level not in permutation.LEVELS:
            return Checks(boot, permutation.Permuted(None, ""))
        x, y, z = self.grid.sides
        labels = [self._facts.bases, self._facts.families]
        bases, families = (
            np.unique([named[run] for run in self.grid.runs], return_inverse=True)[1] for named in labels
        )
        if len(draws) == 2 and z is not None:
            return Checks(boot, permutation.difference(x, z, y, level, families))
        a = x if sides == "x" or z is None else z
        return Checks(boot, permutation.correlation(a, y, level, bases, families))

    def _draws(self, side: str) -> co.Floats:
        if side not in self._drawn:
            x, y, z = self.grid.sides
            self._drawn[side] = bootstrap.pigeonhole(x if side == "x" or z is None else z, y, self.grid.clusters)
        return self._drawn[side]

    def beyond(self, level: Level, deleting: bool) -> jk.Replicates:
        """x with y, given z, the size of the models and the tasks' chance level."""
        given = (self.grid.sides.x, self.grid.sides.y, *self._held().values())
        if len(given) < 5 or self.unsized() or not given[0].size:
            return jk.Replicates(float("nan"), np.empty(0), np.empty(0), 0.0)

        def statistic(given: Sequence[co.Floats]) -> float:
            return co.partial_given(given[0], given[1], given[2:], level)

        if not deleting:
            return jk.Replicates(statistic(given), np.empty(0), np.empty(0), 0.0)
        return jk.leave_out_of(statistic, given, self.grid.clusters)

    def unsized(self) -> str:
        """Why `beyond` is undefined, where that is not for want of variance."""
        known = all(np.isfinite(side).sum() == self.grid.pairs for side in self._held().values())
        return "" if known else "the size of some model is not known"

    def unheld(self, level: Level) -> str:
        """What `beyond` cannot hold fixed."""
        same = [name for name, side in self._held().items() if side.size and co.flat(side, level)]
        return f"without variance at this level, so not held fixed: {', '.join(same)}" if same else ""

    def _held(self) -> dict[str, co.Floats]:
        x, _, z = self.grid.sides
        if z is None:
            return {}
        there = np.where(np.isfinite(x), 0, np.nan)
        params = np.array([self._facts.params[run] for run in self.grid.runs])[:, None] + there
        chance = np.array([self._facts.chance[task] for task in self.grid.tasks])[None] + there
        return {"zero-shot": z, "log params": params, "chance": chance}

    def delta(self, level: Level, method: Method, deleting: bool) -> jk.Replicates:
        """The coefficient of x less that of z."""
        x, z = self.single(level, method, "x", deleting), self.single(level, method, "z", deleting)
        sides, clusters = self.grid.sides, self.grid.clusters
        blocks = jk.block_variance_delta(sides, level, clusters) if deleting and method == "pearson" else 0.0
        return jk.Replicates(x.estimate - z.estimate, x.by_cluster - z.by_cluster, x.by_task - z.by_task, blocks)


def facts(pairs: pa.Table) -> Facts:
    """The facts of a table "pairs"."""
    runs, tasks = grids.run_names(pairs), pairs["task"].to_pylist()
    columns = [pairs[name].to_pylist() for name in ("base", "family", "params", "chance")]
    bases, families, params, chance = columns
    sizes = [math.log(size) if size else math.nan for size in params]
    return Facts(
        bases=dict(zip(runs, bases, strict=True)),
        families=dict(zip(runs, families, strict=True)),
        params=dict(zip(runs, sizes, strict=True)),
        chance=dict(zip(tasks, chance, strict=True)),
    )


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


def general(grid: grids.Grid, statistic: jk.Statistic, deleting: bool) -> jk.Replicates:
    """Any statistic of a grid's sides; `deleting`: with replicates."""
    runs, tasks = grid.shape
    if not runs * tasks:
        return jk.Replicates(float("nan"), np.empty(0), np.empty(0), 0.0)
    if not deleting:
        return jk.Replicates(statistic(grid.sides), np.empty(0), np.empty(0), 0.0)
    return jk.leave_out(statistic, grid.sides, grid.clusters)


def normal_difference(grid: grids.Grid, deleting: bool) -> jk.Replicates:
    """`normal_delta`, with the block term: without it the check of a claim hardly ever confirms one that is true."""
    found = general(grid, normal_delta, deleting)
    return found._replace(blocks=normal_blocks(grid.sides, grid.clusters)) if len(found.by_task) else found


def normal_blocks(sides: co.Sides, clusters: NDArray[np.int64]) -> float:
    """Vft of `normal_delta`, of the scores' own influence: what leaving out a run does to others' ranks is small."""
    x, y, z = (sides.x if side is None else side for side in sides)
    ranked = co.Sides(*(co.normal_scores(side) for side in (x, y, z)))
    return jk.block_variance_delta(ranked, "doubly_centred", clusters)


def _coefficient(level: Level, method: Method, side: str, sides: co.Sides) -> float:
    predictor = sides.x if side == "x" else sides.z
    return float("nan") if predictor is None else co.at_level(predictor, sides.y, level, method)


def concordance(level: Level, sides: co.Sides) -> float:
    """Lin's coefficient of x and y."""
    return co.concordance(sides.x, sides.y, level)


def partial_at(level: Level, sides: co.Sides) -> float:
    """Pearson's r of x and y with z held fixed."""
    return co.partial(sides, level)


def normal_x(sides: co.Sides) -> float:
    """Doubly centred r of normal scores of x and y."""
    return co.at_level(co.normal_scores(sides.x), co.normal_scores(sides.y), "doubly_centred", "pearson")


def normal_delta(sides: co.Sides) -> float:
    """The same, less that of z and y; NaN without z."""
    if sides.z is None:
        return float("nan")
    x, y, z = (co.normal_scores(side) for side in (sides.x, sides.y, sides.z))
    return co.at_level(x, y, "doubly_centred", "pearson") - co.at_level(z, y, "doubly_centred", "pearson")
