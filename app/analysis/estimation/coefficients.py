"""Correlation coefficients at five levels of the grid runs x tasks; pure functions of arrays.

Pooled: all cells as they are; mostly shared task difficulty. Within task: task means removed. Doubly centred: task and
run means removed, so that neither easy tasks nor strong models contribute. Model: means of runs. Task: means of tasks.
Where cells are missing (NaN, in all sides of a grid alike), means of runs and tasks are those of least squares.
An undefined coefficient is NaN, never a number: too few free cells, or a side without variance.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from app.analysis.estimation import unbalanced
from app.analysis.vocabulary import Level, Method

Floats = NDArray[np.float64]

_FLAT = 1e-12  # a variance below this is rounding: scores are fractions of at most some thousand items
_DIGITS = 12  # ranks see centred scores rounded to this, so that rounding breaks no tie


class Sides(NamedTuple):
    """Predictor, target and, perhaps, rival predictor; each runs x tasks, NaN in the same cells."""

    x: Floats
    y: Floats
    z: Floats | None


def free_cells(scores: Floats, level: Level) -> int:
    """Degrees of freedom that the level leaves to a runs x tasks grid.

    None to means of groups that have no cell in common: nothing compares them.
    """
    present = np.isfinite(scores)
    cells, runs, tasks = int(present.sum()), int(present.any(1).sum()), int(present.any(0).sum())
    if level in ("model", "task") and apart(scores):
        return 0
    return {
        "pooled": cells - 1,
        "within_task": cells - tasks,
        "doubly_centred": cells - runs - tasks + 1,
        "model": runs - 1,
        "task": tasks - 1,
    }[level]


def apart(scores: Floats) -> bool:
    """Whether a runs x tasks grid falls into groups of runs and tasks without a common cell."""
    present = np.isfinite(scores).astype(np.float64)
    runs, tasks = np.ones((1, present.shape[0])), np.ones((1, present.shape[1]))
    return not bool(present.all() or unbalanced.joined(present, runs, tasks)[0])


def values(scores: Floats, level: Level) -> Floats:
    """What is correlated at `level`: a runs x tasks grid centred, or averaged, as a flat array of what is there."""
    if level in ("model", "task"):
        if not np.isnan(scores).any():
            return scores.mean(1 if level == "model" else 0)
        runs, tasks = (found[np.isfinite(found)] for found in unbalanced.effects(scores))
        return runs if level == "model" else tasks + runs.mean()
    found = centred(scores, level).ravel()
    return found[np.isfinite(found)]


def centred(scores: Floats, level: Level) -> Floats:
    """The grid at one of the levels of cells, runs x tasks (x anything behind, each by itself)."""
    holed = bool(np.isnan(scores).any())
    if level == "within_task":
        means = _column_means(scores) if holed else scores.mean(0)
        return scores - means
    if level == "doubly_centred":
        if holed:
            runs, tasks = unbalanced.effects(scores)
            return scores - runs[:, None] - tasks
        return scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean((0, 1))
    return scores


def _column_means(scores: Floats) -> Floats:
    return np.nansum(scores, 0) / np.maximum(np.isfinite(scores).sum(0), 1)


def flat(scores: Floats, level: Level) -> bool:
    """Whether nothing varies at `level`."""
    found = values(scores, level)
    return bool(found.size and found.var() < _FLAT)


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
    if free_cells(a, level) < 2:
        return float("nan")
    return coefficient(values(a, level), values(b, level), method)


def concordance(a: Floats, b: Floats, level: Level) -> float:
    """Lin's coefficient: how near pairs lie to the diagonal; NaN below three values or where one side does not vary.

    2 s_ab / (s_a^2 + s_b^2 + (mean a - mean b)^2), Lin 1989, doi:10.2307/2532051. Of centred scores it says nothing.
    """
    if free_cells(a, level) < 2:
        return float("nan")
    p, q = values(a, level), values(b, level)
    if min(p.var(), q.var()) < _FLAT:
        return float("nan")
    between = ((p - p.mean()) * (q - q.mean())).mean()
    return float(2 * between / (p.var() + q.var() + (p.mean() - q.mean()) ** 2))


def partial_given(a: Floats, b: Floats, given: Sequence[Floats], level: Level) -> float:
    """Pearson's r of a and b with all of `given` held fixed: of what least squares leaves of both, at a level.

    All are runs x tasks; one that is flat at the level is left out. NaN where too few cells are left or a side is flat.
    """
    p, q = values(a, level), values(b, level)
    held = [side - side.mean() for side in (values(side, level) for side in given if not flat(side, level))]
    if free_cells(a, level) < 2 + len(held) or min(p.var(), q.var()) < _FLAT:
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
    ranks = stats.rankdata(scores.round(_DIGITS), axis=0, nan_policy="omit")
    return np.asarray(special.ndtri(ranks / (np.isfinite(scores).sum(0) + 1)))


def influence(a: Floats, b: Floats, level: Level) -> Floats:
    """The influence of each cell on Pearson's r at a cell level (pooled, within task, doubly centred); mean 0.

    With a and b standardised at the level: a b - r (a^2 + b^2) / 2 (Devlin, Gnanadesikan and Kettenring 1975,
    doi:10.1093/biomet/62.3.531). Shape runs x tasks, NaN where the cell is missing.
    """
    p, q = centred(a, level), centred(b, level)
    if level == "pooled":
        p, q = p - np.nanmean(p), q - np.nanmean(q)
    p, q = p / np.sqrt(np.nanmean(p * p)), q / np.sqrt(np.nanmean(q * q))
    r = np.nanmean(p * q)
    return p * q - r / 2 * (p * p + q * q)


def pearson_of_weights(a: Floats, b: Floats, runs: Floats, tasks: Floats) -> Floats:
    """Pearson's r at all five levels for many weightings of runs and tasks at once.

    `a`, `b`: runs x tasks. `runs`: weightings x runs, `tasks`: weightings x tasks, none negative; a weight of 0 leaves
    one out. Returns levels x weightings, NaN where undefined. The cost is a few matrix products instead of one pass
    through the grid for each weighting; where cells are missing, small systems of equations besides.
    """
    if np.isnan(a).any():
        ab, aa, bb, free = unbalanced.moments(a, b, runs, tasks)
        return _quotients(ab, aa, bb, free < 2)
    w, u = runs / runs.sum(1, keepdims=True), tasks / tasks.sum(1, keepdims=True)
    a, b = a - a.mean(), b - b.mean()  # every level ignores a shift; small numbers keep the digits
    ab, aa, bb = _moments(a, b, w, u), _moments(a, a, w, u), _moments(b, b, w, u)
    i, j = (runs > 0).sum(1), (tasks > 0).sum(1)
    free = np.stack([i * j - 1, (i - 1) * j, (i - 1) * (j - 1), i - 1, j - 1])
    return _quotients(ab, aa, bb, free < 2)


def _quotients(ab: Floats, aa: Floats, bb: Floats, few: NDArray[np.bool_]) -> Floats:
    flat = np.minimum(aa, bb) < _FLAT
    r = np.clip(ab / np.sqrt(np.where(flat, 1, aa * bb)), -1, 1)
    return np.where(flat | few, np.nan, r)


def _moments(a: Floats, b: Floats, w: Floats, u: Floats) -> Floats:
    """Weighted mean cross-products at the levels of `LEVELS`: levels x weightings."""
    cells = ((w @ (a * b)) * u).sum(1)
    by_run = (w * (u @ a.T) * (u @ b.T)).sum(1)
    task_a, task_b = w @ a, w @ b
    by_task = (u * task_a * task_b).sum(1)
    grand = (task_a * u).sum(1) * (task_b * u).sum(1)
    return np.stack([cells - grand, cells - by_task, cells - by_run - by_task + grand, by_run - grand, by_task - grand])
