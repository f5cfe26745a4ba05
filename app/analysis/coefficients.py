"""Correlation coefficients at five levels of the grid runs x tasks; pure functions of arrays.

Pooled: all cells as they are; mostly shared task difficulty. Within task: task means removed. Doubly centred: task and
run means removed, so that neither easy tasks nor strong models contribute. Model: means of runs. Task: means of tasks.
An undefined coefficient is NaN, never a number: too few free cells, or a side without variance.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from app.analysis.vocabulary import LEVELS, Level, Method

Floats = NDArray[np.float64]

_FLAT = 1e-12  # a variance below this is rounding: scores are fractions of at most some thousand items
_DIGITS = 12  # ranks see centred scores rounded to this, so that rounding breaks no tie


class Sides(NamedTuple):
    """A complete grid: predictor, target and, perhaps, rival predictor; each runs x tasks, no NaN."""

    x: Floats
    y: Floats
    z: Floats | None


def free_cells(runs: int, tasks: int, level: Level) -> int:
    """Degrees of freedom that the level leaves to a grid of this shape."""
    return {
        "pooled": runs * tasks - 1,
        "within_task": (runs - 1) * tasks,
        "doubly_centred": (runs - 1) * (tasks - 1),
        "model": runs - 1,
        "task": tasks - 1,
    }[level]


def values(scores: Floats, level: Level) -> Floats:
    """What is correlated at `level`: a runs x tasks grid centred, or averaged, as a flat array."""
    if level == "model":
        return scores.mean(1)
    if level == "task":
        return scores.mean(0)
    if level == "within_task":
        return (scores - scores.mean(0)).ravel()
    if level == "doubly_centred":
        return (scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()).ravel()
    return scores.ravel()


def flat(scores: Floats, level: Level) -> bool:
    """Whether nothing varies at `level`."""
    return bool(values(scores, level).var() < _FLAT)


def coefficient(a: Floats, b: Floats, method: Method) -> float:
    """The coefficient of two flat arrays; NaN below three values or where one side does not vary."""
    if a.size < 3 or min(a.var(), b.var()) < _FLAT:
        return float("nan")
    if method == "pearson":
        return pearson(a, b)
    a, b = a.round(_DIGITS), b.round(_DIGITS)
    if method == "spearman":
        return pearson(stats.rankdata(a), stats.rankdata(b))
    found: Any = stats.kendalltau(a, b)
    return float(found.statistic)


def pearson(a: Floats, b: Floats) -> float:
    """Pearson's r of two arrays that vary; a result past 1 by rounding is 1."""
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), -1, 1))


def at_level(a: Floats, b: Floats, level: Level, method: Method) -> float:
    """The coefficient of two runs x tasks grids at a level; NaN where the level leaves fewer than two free cells."""
    if free_cells(a.shape[0], a.shape[1], level) < 2:
        return float("nan")
    return coefficient(values(a, level), values(b, level), method)


def concordance(a: Floats, b: Floats, level: Level) -> float:
    """Lin's coefficient: how near pairs lie to the diagonal; NaN below three values or where one side does not vary.

    2 s_ab / (s_a^2 + s_b^2 + (mean a - mean b)^2), Lin 1989, doi:10.2307/2532051. Of centred scores it says nothing.
    """
    p, q = values(a, level), values(b, level)
    if p.size < 3 or min(p.var(), q.var()) < _FLAT:
        return float("nan")
    between = ((p - p.mean()) * (q - q.mean())).mean()
    return float(2 * between / (p.var() + q.var() + (p.mean() - q.mean()) ** 2))


def partial_given(a: Floats, b: Floats, given: Sequence[Floats], level: Level) -> float:
    """Pearson's r of a and b with all of `given` held fixed: of what least squares leaves of both, at a level.

    All are runs x tasks; one that is flat at the level is left out. NaN where too few cells are left or a side is flat.
    """
    p, q = values(a, level), values(b, level)
    held = [side - side.mean() for side in (values(side, level) for side in given if not flat(side, level))]
    if free_cells(a.shape[0], a.shape[1], level) < 2 + len(held) or min(p.var(), q.var()) < _FLAT:
        return float("nan")
    rest = [side - side.mean() for side in (p, q)]
    if held:
        design = np.stack([side / side.std() for side in held], 1)
        fitted = np.linalg.lstsq(design, np.stack(rest, 1), rcond=None)[0]
        rest = list((np.stack(rest, 1) - design @ fitted).T)
    return pearson(*rest) if min(side.var() for side in rest) >= _FLAT else float("nan")


def partial(sides: Sides, level: Level) -> float:
    """Pearson's r of x and y with z held fixed, at a level; NaN where z is absent, flat or explains a side fully."""
    if sides.z is None:
        return float("nan")
    xy, xz, yz = (
        at_level(a, b, level, "pearson") for a, b in ((sides.x, sides.y), (sides.x, sides.z), (sides.y, sides.z))
    )
    left = (1 - xz * xz) * (1 - yz * yz)
    return (xy - xz * yz) / float(np.sqrt(left)) if left > _FLAT else float("nan")


def normal_scores(scores: Floats) -> Floats:
    """Ranks within each task, as normal quantiles of rank / (runs + 1): free of any monotone curvature of the scale.

    Van der Waerden's scores (1952).
    """
    ranks = stats.rankdata(scores.round(_DIGITS), axis=0)
    return np.asarray(special.ndtri(ranks / (scores.shape[0] + 1)))


def influence(a: Floats, b: Floats, level: Level) -> Floats:
    """The influence of each cell on Pearson's r at a cell level (pooled, within task, doubly centred); mean 0.

    With a and b standardised at the level: a b - r (a^2 + b^2) / 2 (Devlin, Gnanadesikan and Kettenring 1975,
    doi:10.1093/biomet/62.3.531). Shape runs x tasks.
    """
    p, q = values(a, level).reshape(a.shape), values(b, level).reshape(b.shape)
    if level == "pooled":
        p, q = p - p.mean(), q - q.mean()
    p, q = p / np.sqrt((p * p).mean()), q / np.sqrt((q * q).mean())
    r = (p * q).mean()
    return p * q - r / 2 * (p * p + q * q)


def pearson_of_weights(a: Floats, b: Floats, runs: Floats, tasks: Floats) -> Floats:
    """Pearson's r at all five levels for many weightings of runs and tasks at once.

    `a`, `b`: runs x tasks. `runs`: weightings x runs, `tasks`: weightings x tasks, none negative; a weight of 0 leaves
    one out. Returns levels x weightings, NaN where undefined. The cost is a few matrix products instead of one pass
    through the grid for each weighting.
    """
    w, u = runs / runs.sum(1, keepdims=True), tasks / tasks.sum(1, keepdims=True)
    a, b = a - a.mean(), b - b.mean()  # every level ignores a shift; small numbers keep the digits
    ab, aa, bb = _moments(a, b, w, u), _moments(a, a, w, u), _moments(b, b, w, u)
    flat = np.minimum(aa, bb) < _FLAT
    r = np.clip(ab / np.sqrt(np.where(flat, 1, aa * bb)), -1, 1)
    counts = np.stack([(runs > 0).sum(1), (tasks > 0).sum(1)], 1)
    few = np.array([[free_cells(int(i), int(t), level) < 2 for i, t in counts] for level in LEVELS])
    return np.where(flat | few, np.nan, r)


def _moments(a: Floats, b: Floats, w: Floats, u: Floats) -> Floats:
    """Weighted mean cross-products at the levels of `LEVELS`: levels x weightings."""
    cells = ((w @ (a * b)) * u).sum(1)
    by_run = (w * (u @ a.T) * (u @ b.T)).sum(1)
    task_a, task_b = w @ a, w @ b
    by_task = (u * task_a * task_b).sum(1)
    grand = (task_a * u).sum(1) * (task_b * u).sum(1)
    return np.stack([cells - grand, cells - by_task, cells - by_run - by_task + grand, by_run - grand, by_task - grand])
