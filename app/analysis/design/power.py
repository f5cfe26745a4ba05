"""What a design can tell before it costs anything: widths, coverage and power, by studies drawn from a made world.

Each drawn study goes through the report's own jack2, and its difference between predictors through the report's own
check away from the floor. The figures are as good as the world is like yours: they compare designs rather than promise
a width. The size of the study decides how many experiments there are, never the clock: the answer is always the same.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.analysis.answer import direction
from app.analysis.design.designs import Design
from app.analysis.design.worlds import World, draw, truth
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import estimates as es
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation import refusals
from app.analysis.vocabulary import FLOOR, LEVELS, Level

_CELLS = 500_000
"""Pairs that the experiments of one design come to, within the bounds of `_EXPERIMENTS`."""
_EXPERIMENTS = (40, 200)
_OF_THE_DIFFERENCE = ("true_delta", "delta", "delta_half_width", "delta_coverage", "power")


class Judged(NamedTuple):
    """One study at one level: r(x, y), r(z, y), their difference, with jack2's intervals; None: no honest one."""

    r: float
    rival: float
    interval: jk.Interval | None
    rival_interval: jk.Interval | None
    delta: jk.Interval | None


class Expected(NamedTuple):
    """A level over many drawn studies.

    NaN, but for what is true, where no study has an interval; of the difference wholly, where there is no rival.
    """

    level: Level
    true_r: float
    """r(x, y) among very many models and tasks."""
    true_delta: float
    """r(x, y) - r(z, y), likewise."""
    r: float
    """Mean of r(x, y)."""
    spread: float
    """Standard deviation of r(x, y) from study to study."""
    half_width: float
    """Of the interval of r(x, y): half its width, the mean over studies."""
    coverage: float
    """Share of the intervals that hold the true r."""
    delta: float
    delta_half_width: float
    delta_coverage: float
    power: float
    """Share of studies whose difference has an interval without 0."""


class Power(NamedTuple):
    """A design in a world."""

    design: Design
    experiments: int
    levels: tuple[Expected, ...]
    claims: float
    """Share of studies that may say that x predicts better: doubly centred, confirmed away from the floor; NaN where
    that was not asked for, or there is no rival."""
    above_floor: float
    """Mean number of tasks whose median x, y and z are away from the floor."""
    refusal: str
    """Why the report gives no interval; empty where it does."""

    def at(self, level: Level) -> Expected:
        """The row of a level."""
        return self.levels[LEVELS.index(level)]


def experiments_for(design: Design) -> int:
    """As many as a second or two on one core allows."""
    few, many = _EXPERIMENTS
    return int(np.clip(_CELLS // max(design.pairs, 1), few, many))


def simulate(
    design: Design, world: World | None = None, experiments: int | None = None, seed: int = 0, *, check: bool = True
) -> Power:
    """Draw studies of a design and judge each as the report would; the same seed gives the same figures.

    `check`: also whether the difference would be claimed, which takes as long again.
    """
    world, count = world or World(), experiments or experiments_for(design)
    groups = design.clusters
    refusal = refusals.too_few(
        int(groups.max()) + 1, design.tasks, "base" if design.cluster_by != "family" else "family"
    )
    judged: list[dict[Level, Judged]] = []
    claims, above = list[bool](), list[int]()
    for number in range(count):
        sides = draw(design, world, np.random.default_rng([seed, number]))
        above.append(int(away_from_floor(sides).sum()))
        if refusal:
            continue  # there would be no interval to judge
        found = _told(design, judge(sides, groups))
        judged.append(found)
        if check and design.rival:
            claims.append(claimed(sides, groups, found["doubly_centred"]) > 0)
    known = truth(world, design.items)
    levels = [_expected(level, [one[level] for one in judged], known[:, k]) for k, level in enumerate(LEVELS)]
    if not design.rival:
        levels = [row._replace(**dict.fromkeys(_OF_THE_DIFFERENCE, math.nan)) for row in levels]
    return Power(design, count, tuple(levels), _mean(claims), float(np.mean(above)), refusal)


def error(share: float, experiments: int) -> float:
    """Monte-Carlo standard error of a share of experiments; a share of 0 or 1 is taken as half an experiment away."""
    held = float(np.clip(share, 0.5 / experiments, 1 - 0.5 / experiments))
    return (held * (1 - held) / experiments) ** 0.5


def judge(sides: co.Sides, clusters: NDArray[np.int64]) -> dict[Level, Judged]:
    """Pearson's r of both predictors and their difference at every level, with jack2's intervals."""
    runs, tasks = sides.x.shape
    groups = int(clusters.max()) + 1
    keep_runs = np.vstack([np.ones(runs), clusters != np.arange(groups)[:, None], np.ones((tasks, runs))])
    keep_tasks = np.vstack([np.ones((1 + groups, tasks)), 1 - np.eye(tasks)])
    z = sides.x if sides.z is None else sides.z
    both = [co.pearson_of_weights(a, sides.y, keep_runs, keep_tasks) for a in (sides.x, z)]
    found: dict[Level, Judged] = {}
    for number, level in enumerate(LEVELS):
        x_, z_ = (
            jk.Replicates(
                float(r[0]), r[1 : 1 + groups], r[1 + groups :], jk.block_variance_r(a, sides.y, level, clusters)
            )
            for a, r in ((sides.x, both[0][number]), (z, both[1][number]))
        )
        blocks = jk.block_variance_delta(sides, level, clusters)
        apart = jk.Replicates(x_.estimate - z_.estimate, x_.by_cluster - z_.by_cluster, x_.by_task - z_.by_task, blocks)
        intervals = [jk.interval(one, fisher=fisher) for one, fisher in ((x_, True), (z_, True), (apart, False))]
        found[level] = Judged(x_.estimate, z_.estimate, *intervals)
    return found


def away_from_floor(sides: co.Sides) -> NDArray[np.bool_]:
    """Whether each task's median x, y and z all exceed the floor."""
    given = [side for side in sides if side is not None]
    return np.all([np.nanmedian(side, 0) > FLOOR for side in given], 0)


def claimed(sides: co.Sides, clusters: NDArray[np.int64], found: Judged) -> int:
    """1 where the report says that x predicts better, -1 where z does, 0 where it claims neither.

    The interval of the difference excludes 0, and so does that of normal scores over tasks away from the floor.
    """
    direction = excludes_zero(found.delta)
    return direction if direction and excludes_zero(floor_check(sides, clusters)) == direction else 0


def excludes_zero(found: jk.Interval | None) -> int:
    """1 where the interval lies above 0, -1 below, 0 where it holds 0 or there is none."""
    return 0 if found is None else direction(found.low, found.high)


def floor_check(sides: co.Sides, clusters: NDArray[np.int64]) -> jk.Interval | None:
    """jack2's interval of the difference of doubly centred r on normal scores, over tasks away from the floor."""
    kept = away_from_floor(sides)
    x, y, z = (sides.x if side is None else side for side in sides)
    part = co.Sides(x[:, kept], y[:, kept], z[:, kept])
    groups = int(clusters.max()) + 1
    if refusals.too_few(groups, int(kept.sum()), "family"):
        return None
    without = [_normal_deltas(_rows(part, clusters != group))[0] for group in range(groups)]
    whole = _normal_deltas(part)  # ranks are within tasks: leaving one out changes those of no other
    blocks = es.normal_blocks(part, clusters)
    return jk.interval(jk.Replicates(float(whole[0]), np.array(without), whole[1:], blocks), fisher=False)


def _told(design: Design, found: dict[Level, Judged]) -> dict[Level, Judged]:
    """Without the intervals that the report would not give."""
    by, families = ("family" if design.cluster_by == "family" else "base"), int(design.families.max()) + 1
    return {
        level: one._replace(interval=None, rival_interval=None, delta=None)
        if refusals.alike(level, len(design.models), families, by)
        else one
        for level, one in found.items()
    }


def _rows(sides: co.Sides, kept: NDArray[np.bool_]) -> co.Sides:
    return co.Sides(sides.x[kept], sides.y[kept], None if sides.z is None else sides.z[kept])


def _normal_deltas(sides: co.Sides) -> co.Floats:
    """The doubly centred difference on normal scores: of all tasks, then without each."""
    x, y, z = (co.normal_scores(sides.x if side is None else side) for side in sides)
    runs, tasks = x.shape
    weights = np.ones((1 + tasks, runs)), np.vstack([np.ones(tasks), 1 - np.eye(tasks)])
    level = LEVELS.index("doubly_centred")
    return co.pearson_of_weights(x, y, *weights)[level] - co.pearson_of_weights(z, y, *weights)[level]


def _expected(level: Level, found: Sequence[Judged], known: co.Floats) -> Expected:
    r, rival = (np.array([getattr(one, side) for one in found]) for side in ("r", "rival"))
    made = [one.interval for one in found if one.interval]
    apart = [one.delta for one in found if one.delta]
    return Expected(
        level,
        float(known[0]),
        float(known[0] - known[1]),
        _mean(r),
        float(np.nanstd(r)) if np.isfinite(r).any() else float("nan"),
        _mean([(one.high - one.low) / 2 for one in made]),
        _mean([one.low <= known[0] <= one.high for one in made]),
        _mean(r - rival),
        _mean([(one.high - one.low) / 2 for one in apart]),
        _mean([one.low <= known[0] - known[1] <= one.high for one in apart]),
        _mean([excludes_zero(one) != 0 for one in apart]),
    )


def _mean(values: Sequence[float] | co.Floats) -> float:
    found = np.array(values, np.float64)
    found = found[np.isfinite(found)]
    return float(found.mean()) if found.size else float("nan")
