"""One experiment: a study is drawn, and every method of the report that concerns its case is used on it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.analysis.design import power
from app.analysis.design.worlds import draw, draw_items
from app.analysis.estimation import bootstrap, permutation, refusals
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.vocabulary import LEVELS, Level
from jobs.simulate import further
from jobs.simulate.case import Case

DRAWS = 400
"""Of the bootstrap in an experiment; the report's own has more."""


class Limits(NamedTuple):
    """An interval that a method gave."""

    method: str
    statistic: str
    """r, delta, or the name of another one."""
    level: Level
    low: float
    high: float


class Outcome(NamedTuple):
    """What one drawn study led to."""

    limits: tuple[Limits, ...]
    rejected: dict[str, bool]
    """Test -> whether it rejects at 5 %; a test that is not possible is left out."""
    kept: float
    """Share of the cells that the estimates rest on."""


def experiment(case: Case, number: int) -> Outcome:
    """The same case and number give the same outcome."""
    rng = np.random.default_rng([number, *case.name.encode()])
    if case.part == "items":
        return _further(further.of_items(draw_items(case.design, case.world, rng), case.design))
    if case.part == "further":
        return _further(further.of_scores(draw(case.design, case.world, rng), case.design))
    sides, clusters = draw(case.design, case.world, rng), case.design.clusters
    kept = 1.0
    if case.missing:
        found = _with_holes(sides, clusters, case.missing, rng)
        kept = found.pairs / sides.x.size
        sides, clusters = found.sides, found.clusters
        if refusals.too_few(len(found.cluster_names), len(found.tasks), "base"):
            return Outcome((), {}, kept)
    judged = power.judge(sides, clusters)
    limits = [one for level, found in judged.items() for one in _jack2(level, found)]
    rejected: dict[str, bool] = {}
    if case.part == "coverage":
        limits += _pigeonhole(sides, clusters)
    if case.part == "difference":
        rejected = _of_difference(case, sides, judged)
    if case.part == "permutation":
        rejected = _of_permutations(case, sides, judged)
    return Outcome(tuple(limits), rejected, kept)


def _further(found: Sequence[further.Found]) -> Outcome:
    limits = (Limits("jack2", one.statistic, one.level, one.interval.low, one.interval.high) for one in found)
    return Outcome(tuple(limits), {}, 1.0)


def _with_holes(sides: co.Sides, clusters: NDArray[np.int64], share: float, rng: np.random.Generator) -> grids.Grid:
    """A study of which cells are missing."""
    row, column = np.nonzero(rng.random(sides.x.shape) >= share)
    runs, tasks, names = (np.char.zfill(numbers.astype(np.str_), 4) for numbers in (row, column, clusters[row]))
    x, y, z = (sides.x if side is None else side for side in sides)
    return grids.gridded(grids.Cells(runs, tasks, names, x[row, column], y[row, column], z[row, column]), rival=True)


def _jack2(level: Level, found: power.Judged) -> list[Limits]:
    named = (("r", found.interval), ("delta", found.delta))
    return [Limits("jack2", name, level, one.low, one.high) for name, one in named if one]


def _pigeonhole(sides: co.Sides, clusters: NDArray[np.int64]) -> list[Limits]:
    if sides.z is None:
        return []
    x, z = (bootstrap.pigeonhole(side, sides.y, clusters, DRAWS) for side in (sides.x, sides.z))
    found: list[Limits] = []
    for place, level in enumerate(LEVELS):
        for name, draws in (("r", x[place]), ("delta", x[place] - z[place])):
            if one := bootstrap.limits(draws):
                found.append(Limits("pigeonhole", name, level, *one))
    return found


def _of_difference(case: Case, sides: co.Sides, judged: dict[Level, power.Judged]) -> dict[str, bool]:
    """Whether a difference is found where there is none."""
    if sides.z is None:
        return {}
    clusters, level = case.design.clusters, "doubly_centred"
    base = case.design.models[case.design.runs]
    swapped = permutation.difference(sides.x, sides.z, sides.y, level, case.design.families[base])
    found = {
        "jack2, pooled": power.excludes_zero(judged["pooled"].delta) != 0,
        "jack2": power.excludes_zero(judged[level].delta) != 0,
        "claimed": power.claimed(sides, clusters, judged[level]) != 0,
    }
    if swapped.p is not None:
        found["swap"] = swapped.p < 1 - jk.CONFIDENCE
    return found


def _of_permutations(case: Case, sides: co.Sides, judged: dict[Level, power.Judged]) -> dict[str, bool]:
    """Whether a correlation is found where there is none."""
    base = case.design.models[case.design.runs]
    found: dict[str, bool] = {}
    for level in permutation.LEVELS:
        tested = permutation.correlation(sides.x, sides.y, level, base, case.design.families[base])
        found[f"jack2, {level}"] = power.excludes_zero(judged[level].interval) != 0
        if tested.p is not None:
            found[f"permutation, {level}"] = tested.p < 1 - jk.CONFIDENCE
    return found
