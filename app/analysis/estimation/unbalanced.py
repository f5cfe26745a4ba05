"""Two-way grids in which cells are missing: effects of runs and tasks by least squares, over the cells that are there.

Where no cell is missing this is what means give. Where some are, means of rows and columns would depend on which: a
model that was not scored on the hard tasks would look strong. Least squares fits all effects at once (Yates 1934,
doi:10.1080/01621459.1934.10502686), and a run's adjusted mean is its effect over all tasks (Searle, Speed and Milliken
1980, doi:10.1080/00031305.1980.10483031). A missing cell is NaN; nothing is filled in.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RIDGE = 1e-12
"""Of the mean diagonal: where runs and tasks fall apart into groups without a common cell, effects are not unique."""
_AT_ONCE = 500  # weightings: their normal equations are tasks x tasks each


class Moments(NamedTuple):
    """Weighted mean products of what is correlated at the five levels, and degrees of freedom: levels x weightings.

    Levels: pooled, within task, doubly centred, model, task; the last two have none where cells do not join all.
    """

    ab: Floats
    aa: Floats
    bb: Floats
    free: NDArray[np.int64]


class _Layout(NamedTuple):
    """Which cells are there and what each weighs: w[k, i] u[k, j] in weighting k."""

    mask: Floats
    w: Floats
    u: Floats
    in_run: Floats
    """u's sum over the cells of each run."""
    in_task: Floats
    """w's sum over the cells of each task."""


class _Fit(NamedTuple):
    """One side under each weighting."""

    cells: Floats
    by_run: Floats
    """Sums over tasks, weighted by u."""
    by_task: Floats
    """Sums over runs, weighted by w."""
    runs: Floats
    """Adjusted means."""
    tasks: Floats
    """Effects, of weighted mean 0."""


def effects(scores: Floats) -> tuple[Floats, Floats]:
    """Adjusted means of runs, and effects of tasks of mean 0: scores[i, j] is runs[i] + tasks[j] and a residual.

    `scores`: runs x tasks, or x anything behind, each by itself, with the same cells missing. Returns runs and tasks, x
    the rest, NaN where one has no cell.
    """
    layers = scores.reshape(*scores.shape[:2], -1)
    present = np.isfinite(layers[..., 0])
    runs, tasks = present.any(1), present.any(0)
    mask = present[np.ix_(runs, tasks)].astype(np.float64)
    filled = np.where(mask[..., None] > 0, layers[np.ix_(runs, tasks)], 0)
    each = mask.sum(1)[:, None]
    normal = np.diag(mask.sum(0)) - mask.T @ (mask / each)
    found = np.linalg.lstsq(normal, filled.sum(0) - mask.T @ (filled.sum(1) / each), rcond=None)[0]
    found -= found.mean(0) if found.size else 0
    a, b = (np.full((count, layers.shape[2]), np.nan) for count in present.shape)
    a[runs], b[tasks] = (filled.sum(1) - mask @ found) / each, found
    return a.reshape(-1, *scores.shape[2:]), b.reshape(-1, *scores.shape[2:])


def joined(mask: Floats, runs: Floats, tasks: Floats) -> NDArray[np.bool_]:
    """Whether, under each weighting, paths of common cells lead from every run and task to every other.

    Where they do not, effects of runs in one group and in another are compared by nothing: each group's tasks would be
    taken for equally hard. `mask`: runs x tasks, 1 where there is a cell; weightings as in `moments`.
    """
    there = tasks * (runs @ mask > 0) > 0
    reached = np.zeros_like(there)
    reached[np.arange(len(there)), there.argmax(1)] = True
    while True:
        further = (((reached @ mask.T > 0) * runs > 0) @ mask > 0) & there
        if (further == reached).all():
            return (reached == there).all(1)
        reached = further


def moments(a: Floats, b: Floats, runs: Floats, tasks: Floats) -> Moments:
    """For many weightings of runs and tasks at once.

    `a`, `b`: runs x tasks, NaN in the same cells. `runs`: weightings x runs, `tasks`: weightings x tasks, none
    negative; a weight of 0 leaves one out.
    """
    starts = range(0, len(runs), _AT_ONCE)
    parts = [_moments(a, b, runs[at : at + _AT_ONCE], tasks[at : at + _AT_ONCE]) for at in starts]
    return Moments(*(np.concatenate(found, 1) for found in zip(*parts, strict=True)))


def _moments(a: Floats, b: Floats, w: Floats, u: Floats) -> Moments:
    mask = np.isfinite(a).astype(np.float64)
    w = w * (u @ mask.T > 0)
    u = u * (w @ mask > 0)
    layout = _Layout(mask, w, u, u @ mask.T, w @ mask)
    p, q = (_fit(np.where(mask > 0, side - side[mask > 0].mean(), 0), layout) for side in (a, b))
    ab, aa, bb = (_products(one, other, layout) for one, other in ((p, q), (p, p), (q, q)))
    cells = ((w > 0) @ mask * (u > 0)).sum(1)
    rows, columns = (w > 0).sum(1), (u > 0).sum(1)
    apart = ~joined(mask, w, u)
    of_runs, of_tasks = (np.where(apart, 0, count - 1) for count in (rows, columns))
    free = np.stack([cells - 1, cells - columns, cells - rows - columns + 1, of_runs, of_tasks])
    return Moments(ab, aa, bb, free.astype(np.int64))


def _fit(cells: Floats, at: _Layout) -> _Fit:
    """Least squares under each weighting: effects of runs are eliminated, those of tasks solved for."""
    by_run, by_task = at.u @ cells.T, at.w @ cells
    share = _over(at.w, at.in_run)
    inner = np.matmul(at.mask.T * share[:, None], at.mask)  # weightings x tasks x tasks
    count = at.u.shape[1]
    diagonal = np.where(at.in_task * (at.u > 0) > 0, at.in_task, 1)
    scale = diagonal.mean(1)
    normal = np.eye(count) * (diagonal + _RIDGE * scale[:, None])[:, None] - inner * at.u[:, None]
    # The equations leave a constant open; this sets the effects' weighted mean to 0 and changes nothing else.
    normal += (scale / np.maximum(at.u.sum(1), 1e-300))[:, None, None] * at.u[:, None]
    given = by_task - (share * by_run) @ at.mask
    tasks = np.linalg.solve(normal, given[..., None])[..., 0] * (at.u > 0)
    runs = _over(by_run - (at.u * tasks) @ at.mask.T, at.in_run)
    return _Fit(cells, by_run, by_task, runs, tasks)


def _products(p: _Fit, q: _Fit, at: _Layout) -> Floats:
    """Mean products at the levels. A residual is orthogonal to all fits, so one side's fit is enough."""
    total = (at.in_task * at.u).sum(1)
    total = np.where(total > 0, total, 1)
    cells = ((at.w @ (p.cells * q.cells)) * at.u).sum(1)
    grand = (p.by_task * at.u).sum(1) * (q.by_task * at.u).sum(1) / total
    of_tasks = _over(at.u * p.by_task * q.by_task, at.in_task).sum(1)
    of_fit = (at.w * p.runs * q.by_run).sum(1) + (at.u * p.tasks * q.by_task).sum(1)
    by_cell = np.stack([cells - grand, cells - of_tasks, cells - of_fit]) / total
    return np.vstack([by_cell, _covariance(p.runs, q.runs, at.w), _covariance(p.tasks, q.tasks, at.u)])


def _covariance(p: Floats, q: Floats, weights: Floats) -> Floats:
    total = np.maximum(weights.sum(1), 1e-300)
    return (weights * p * q).sum(1) / total - (weights * p).sum(1) * (weights * q).sum(1) / total**2


def _over(above: Floats, below: Floats) -> Floats:
    """A quotient that is 0 where nothing stands below."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
