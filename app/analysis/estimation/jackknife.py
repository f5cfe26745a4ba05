"""The two-way jackknife ("jack2"): intervals where neither models of one family nor tasks are independent.

Estimates are recomputed without each family (or base) and without each task. V = max(Vf + Vt - Vft, Vf, Vt), where Vft,
the variance of family x task blocks counted twice, comes from the influence function of Pearson's r; for other
statistics it is taken as 0, which only widens the interval. Correlations are treated on Fisher's scale, differences
on their own. Degrees of freedom after Satterthwaite: (Vf + Vt)^2 / (Vf^2 / (F - 1) + Vt^2 / (T - 1)).
Sources: the jackknife's variance, which errs upwards: Efron and Stein 1981, doi:10.1214/aos/1176345462; two ways added,
less what both count: Cameron, Gelbach and Miller 2011, doi:10.1198/jbes.2010.07136; degrees of freedom: Satterthwaite
1946, doi:10.2307/3002019. Putting them together is our own; docs/coverage.md has what it is worth, by simulation.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from app.analysis.estimation.coefficients import Floats, Sides, at_level, influence
from app.analysis.vocabulary import Level

CONFIDENCE = 0.95
Statistic = Callable[[Sides], float]

_CELL_LEVELS: tuple[Level, ...] = ("pooled", "within_task", "doubly_centred")


class Replicates(NamedTuple):
    """A statistic, the same without each cluster (F values) and without each task (T values), and Vft."""

    estimate: float
    by_cluster: Floats
    by_task: Floats
    blocks: float
    """Vft on the scale of the interval; 0 where it is not known."""


class Interval(NamedTuple):
    """95 % limits, two-sided p for a true value of 0, degrees of freedom."""

    low: float
    high: float
    p_value: float
    df: float


def leave_out(statistic: Statistic, sides: Sides, clusters: NDArray[np.int64]) -> Replicates:
    """The replicates of any statistic, one full computation for each cluster and each task."""
    runs, tasks = sides.x.shape
    every_run, every_task = np.full(runs, True), np.full(tasks, True)
    by_cluster = [statistic(_part(sides, clusters != group, every_task)) for group in range(int(clusters.max()) + 1)]
    by_task = [statistic(_part(sides, every_run, np.arange(tasks) != task)) for task in range(tasks)]
    return Replicates(statistic(sides), np.array(by_cluster), np.array(by_task), 0.0)


def leave_out_of(
    statistic: Callable[[Sequence[Floats]], float], grids: Sequence[Floats], clusters: NDArray[np.int64]
) -> Replicates:
    """The same for a statistic of any number of runs x tasks grids."""
    tasks = grids[0].shape[1]
    by_cluster = [statistic([grid[clusters != group] for grid in grids]) for group in range(int(clusters.max()) + 1)]
    by_task = [statistic([np.delete(grid, task, 1) for grid in grids]) for task in range(tasks)]
    return Replicates(statistic(grids), np.array(by_cluster), np.array(by_task), 0.0)


def interval(found: Replicates, *, fisher: bool, confidence: float = CONFIDENCE) -> Interval | None:
    """jack2's interval; None where a replicate is undefined or nothing varies, so that no honest one exists."""
    parts = [np.array([found.estimate]), found.by_cluster, found.by_task]
    if fisher:
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [np.arctanh(part) for part in parts]
    if not all(np.isfinite(part).all() for part in parts):
        return None
    centre = float(parts[0][0])
    v_f, v_t = (_variance(part) for part in parts[1:])
    total = max(v_f + v_t - found.blocks, v_f, v_t)
    if total < 1e-18:
        return None
    groups, tasks = len(found.by_cluster), len(found.by_task)
    df = max((v_f + v_t) ** 2 / (v_f**2 / (groups - 1) + v_t**2 / (tasks - 1)), 1.0)
    half = float(stats.t.ppf(0.5 + confidence / 2, df)) * total**0.5
    low, high = (float(np.tanh(end)) if fisher else end for end in (centre - half, centre + half))
    return Interval(low, high, float(2 * stats.t.sf(abs(centre) / total**0.5, df)), df)


def block_variance(psi: Floats, clusters: NDArray[np.int64]) -> float:
    """Variance of a mean influence from the sums of its cluster x task blocks; `psi` is runs x tasks, NaN: missing."""
    sums = np.zeros((int(clusters.max()) + 1, psi.shape[1]))
    np.add.at(sums, clusters, np.nan_to_num(psi))
    return float((sums**2).sum() / np.isfinite(psi).sum() ** 2)


def block_variance_r(a: Floats, b: Floats, level: Level, clusters: NDArray[np.int64]) -> float:
    """Vft of Pearson's r on Fisher's scale; 0 at the levels of means, whose blocks are no cells."""
    if level not in _CELL_LEVELS:
        return 0.0
    r = at_level(a, b, level, "pearson")
    # NaN fails the comparison too
    return block_variance(influence(a, b, level) / (1 - r * r), clusters) if abs(r) < 1 else 0.0


def block_variance_delta(sides: Sides, level: Level, clusters: NDArray[np.int64]) -> float:
    """Vft of r(x, y) - r(z, y); 0 at the levels of means."""
    if sides.z is None or level not in _CELL_LEVELS:
        return 0.0
    psi = influence(sides.x, sides.y, level) - influence(sides.z, sides.y, level)
    return block_variance(psi, clusters)


def _part(sides: Sides, runs: NDArray[np.bool_], tasks: NDArray[np.bool_]) -> Sides:
    take = np.ix_(runs, tasks)
    return Sides(sides.x[take], sides.y[take], None if sides.z is None else sides.z[take])


def _variance(replicates: Floats) -> float:
    count = len(replicates)
    return float((count - 1) / count * ((replicates - replicates.mean()) ** 2).sum())
