"""The report's other statistics on one drawn study, with the intervals that it gives them, and what is true of them.

Ranks, normal scores, partial correlations, concordance and components of variance are computed from scores; corrected
coefficients from the answers to single items. True is what very many models and tasks of the same world come to.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.analysis.design.designs import Design, balanced
from app.analysis.design.worlds import Answered, World, draw, draw_items
from app.analysis.estimation import attenuation as at
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import components
from app.analysis.estimation import estimates as es
from app.analysis.estimation import jackknife as jk
from app.analysis.vocabulary import Level, Method

_CELLS: tuple[Level, ...] = ("pooled", "within_task", "doubly_centred")
_MANY = (150, 200)
"""Base models and tasks that stand for very many."""

Statistic = tuple[str, Level]
"""Its name and level."""


class Found(NamedTuple):
    """An interval of a statistic."""

    statistic: str
    level: Level
    interval: jk.Interval


class _Known(NamedTuple):
    statistic: Callable[[co.Sides], float]
    fisher: bool
    blocks: bool = False


def _ranked(method: Method, level: Level, sides: co.Sides) -> float:
    return co.at_level(sides.x, sides.y, level, method)


def _ranked_delta(method: Method, level: Level, sides: co.Sides) -> float:
    z = sides.x if sides.z is None else sides.z
    return co.at_level(sides.x, sides.y, level, method) - co.at_level(z, sides.y, level, method)


_RANKS: tuple[Method, ...] = ("spearman", "kendall")
_OF_SCORES: dict[Statistic, _Known] = {
    **{(name, level): _Known(partial(_ranked, name, level), True) for name in _RANKS for level in _CELLS},
    **{(f"{name}-delta", "doubly_centred"): _Known(partial(_ranked_delta, name, "doubly_centred"), False)
       for name in _RANKS},
    ("normal-scores", "doubly_centred"): _Known(es.normal_x, True),
    ("normal-scores-delta", "doubly_centred"): _Known(es.normal_delta, False, True),
    ("pearson-partial", "pooled"): _Known(partial(es.partial_at, "pooled"), True),
    ("pearson-partial", "doubly_centred"): _Known(partial(es.partial_at, "doubly_centred"), True),
    ("concordance", "pooled"): _Known(partial(es.concordance, "pooled"), True),
    ("concordance", "model"): _Known(partial(es.concordance, "model"), True),
}  # fmt: skip
_COMPONENTS: Mapping[str, Level] = {"model": "model", "task": "task", "interaction": "doubly_centred"}


def of_scores(sides: co.Sides, design: Design) -> list[Found]:
    """What needs scores alone."""
    found: list[Found] = []
    for (name, level), known in _OF_SCORES.items():
        made = jk.leave_out(known.statistic, sides, design.clusters)
        if known.blocks:
            made = made._replace(blocks=es.normal_blocks(sides, design.clusters))
        if between := jk.interval(made, fisher=known.fisher):
            found.append(Found(name, level, between))
    base = design.models[design.runs]
    both = [_by_base(side, base) for side in (sides.x, sides.y)]
    clusters = design.clusters[np.unique(base, return_index=True)[1]]
    for place, name in enumerate(components.COMPONENTS):
        made = jk.leave_out_of(partial(_component, place), both, clusters)
        if between := jk.interval(made, fisher=True):
            found.append(Found(f"component {name}", _COMPONENTS[name], between))
    return found


def of_items(answered: Answered, design: Design) -> list[Found]:
    """Corrected coefficients, unless the report would refuse them."""
    halves = {side: _halves(getattr(answered, side), answered.chance) for side in "xyz"}
    found: list[Found] = []
    for level in at.LEVELS:
        known = {side: at.reliability(half, level) for side, half in halves.items()}
        for name, sides in (("pearson-corrected", "xy"), ("pearson-corrected-delta", "xyz")):
            parts = [half for side in sides for half in halves[side][:2]]
            own = {side: known[side] for side in sides}
            made = at.judged(parts, level, design.clusters, own, "base")
            if made.interval:
                found.append(Found(name, level, made.interval))
    return found


def truths(world: World, items: int, tunings: int, rounds: int) -> dict[Statistic, float]:
    """Every statistic among very many base models, each tuned so often, and tasks of so many items."""
    design = balanced(_MANY[0], 1, tunings, _MANY[1], items)
    base, found = design.models[design.runs], dict[Statistic, list[float]]()
    for number in range(rounds):
        rng = np.random.default_rng([1, number])
        sides = draw(design, world, rng)
        made = {key: known.statistic(sides) for key, known in _OF_SCORES.items()}
        both = [_by_base(side, base) for side in (sides.x, sides.y)]
        made |= {
            (f"component {name}", _COMPONENTS[name]): _component(place, both)
            for place, name in enumerate(components.COMPONENTS)
        }
        for key, value in made.items():
            found.setdefault(key, []).append(value)
    return {key: float(np.mean(values)) for key, values in found.items()}


def corrected_truths(world: World, items: int, rounds: int) -> dict[Statistic, float]:
    """The corrected coefficients among very many base models and tasks."""
    design, found = balanced(_MANY[0], 1, 1, _MANY[1], items), dict[Statistic, list[float]]()
    for number in range(rounds):
        answered = draw_items(design, world, np.random.default_rng([2, number]))
        halves = {side: _one_split(getattr(answered, side), answered.chance) for side in "xyz"}
        parts = [half for side in "xyz" for half in halves[side]]
        for level in at.LEVELS:
            found.setdefault(("pearson-corrected", level), []).append(at.corrected_r(parts[:4], level))
            found.setdefault(("pearson-corrected-delta", level), []).append(at.corrected_delta(parts, level))
    return {key: float(np.mean(values)) for key, values in found.items()}


def _component(place: int, both: Sequence[co.Floats]) -> float:
    return components.component(place, both).correlation


def _by_base(side: co.Floats, base: NDArray[np.int64]) -> co.Floats:
    """Means over the runs of each base."""
    return np.array([side[base == number].mean(0) for number in np.unique(base)])


def _halves(right: NDArray[np.bool_], chance: co.Floats) -> at.Halves:
    """As `attenuation.load` splits them."""
    runs, tasks, _ = right.shape
    parts = [at.halve(right[:, task].astype(np.float64), np.full(runs, chance[task]), task) for task in range(tasks)]
    a, b = (np.stack([part[half] for part in parts], 1) for half in (0, 1))
    return at.Halves(a, b, (right.mean(2) - chance) / (1 - chance))


def _one_split(right: NDArray[np.bool_], chance: co.Floats) -> list[co.Floats]:
    """Scores of both halves, runs x tasks x 1."""
    return [((right[..., first::2].mean(2) - chance) / (1 - chance))[..., None] for first in (0, 1)]
