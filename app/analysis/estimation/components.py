"""Components of variance and their correlations: what models, tasks and their interaction contribute to both sides.

Two-way analysis of variance by the method of moments, on base models x tasks: mean cross-products of the effects, less
what the interaction adds to them (Searle, Casella and McCulloch, "Variance Components", 1992, chapter 4). A base's
tuned scores are averaged over its runs, so that a base with many runs counts once. The noise of items lies inside the
interaction. On a complete grid this is what restricted maximum likelihood gives wherever all components are positive.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app import tables
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation.coefficients import Floats
from app.analysis.estimation.refusals import too_few
from app.analysis.vocabulary import INTACT_FILTER
from app.study import Analysis

COMPONENTS = ("model", "task", "interaction")
_FLAT = 1e-12  # a variance below this is rounding


class Component(NamedTuple):
    """One component; variances in squared chance-corrected scores, and negative where sampling makes them so."""

    x: float
    y: float
    covariance: float

    @property
    def correlation(self) -> float:
        """NaN where a variance is not positive, or the quotient is no correlation."""
        if min(self.x, self.y) < _FLAT:
            return float("nan")
        found = self.covariance / (self.x * self.y) ** 0.5
        return found if abs(found) <= 1 else float("nan")


def moments(a: Floats, b: Floats) -> tuple[float, float, float]:
    """Covariance components of two models x tasks grids: model, task, interaction; variances where both are one."""
    models, tasks = a.shape
    by_model, by_task, rest = [], [], []
    for side in (a, b):
        model, task = side.mean(1), side.mean(0)
        by_model.append(model - side.mean())
        by_task.append(task - side.mean())
        rest.append(side - model[:, None] - task + side.mean())
    interaction = (rest[0] * rest[1]).sum() / ((models - 1) * (tasks - 1))
    model = tasks * (by_model[0] * by_model[1]).sum() / (models - 1)
    task = models * (by_task[0] * by_task[1]).sum() / (tasks - 1)
    return float((model - interaction) / tasks), float((task - interaction) / models), float(interaction)


def component(place: int, sides: Sequence[Floats]) -> Component:
    """One of `COMPONENTS` of two grids."""
    a, b = sides
    return Component(moments(a, a)[place], moments(b, b)[place], moments(a, b)[place])


def components(pairs: pa.Table, analysis: Analysis, study_name: str) -> pa.Table:
    """The table "components": of the predictor and of the baseline with what is predicted.

    Over the base models that lack no task. Intervals are jack2's on Fisher's scale; there is none below 10 tasks or 5
    clusters. Raises StoreError where a base, run and task occur twice.
    """
    tables.checked("pairs", pairs)
    intact = grids.intact(pairs)
    if intact.any() and not intact.all():
        pairs = pairs.filter(pa.array(intact))
    named = {
        "study": study_name,
        "y": analysis.y,
        "filter": "all" if intact.all() or not intact.any() else INTACT_FILTER,
    }
    rows: list[dict[str, object]] = []
    for predictor, side in ((analysis.x, "x"), (analysis.baseline, "z")):
        if predictor is not None and (side == "x" or pairs["z"].null_count < pairs.num_rows):
            rows += [named | {"x": predictor} | row for row in _rows(pairs, analysis, side)]
    return tables.build("components", rows)


def _rows(pairs: pa.Table, analysis: Analysis, side: str) -> Iterator[dict[str, object]]:
    found = grids.cells(pairs, analysis.cluster_by)
    grid = grids.complete(found, rival=side == "z")
    base = dict(zip(grids.run_names(pairs), pairs["base"].to_pylist(), strict=True))
    names, numbers = np.unique([base[run] for run in grid.runs] or np.empty(0, np.str_), return_inverse=True)
    models, tasks = len(names), len(grid.tasks)
    first = [int(np.flatnonzero(numbers == model)[0]) for model in range(models)]
    clusters = grid.clusters[first]
    chosen = grid.sides.x if side == "x" or grid.sides.z is None else grid.sides.z
    both = [np.array([given[numbers == model].mean(0) for model in range(models)]) for given in (chosen, grid.sides.y)]
    for place, name in enumerate(COMPONENTS):
        row: dict[str, object] = {
            "component": name, "noise": "inside", "n_clusters": len(grid.cluster_names), "n_tasks": tasks,
        }  # fmt: skip
        if min(models, tasks) < 2:
            yield row | _nothing("not estimable: fewer than two models or tasks", grid.notes)
            continue
        own, statistic = component(place, both), partial(_correlation, place)
        why = _why(own) or too_few(len(grid.cluster_names), tasks, analysis.cluster_by)
        between = None if why else jk.interval(jk.leave_out_of(statistic, both, clusters), fisher=True)
        if not why and between is None:
            why = f"no interval: undefined without some {analysis.cluster_by} or task"
        defined = bool(np.isfinite(own.correlation))
        yield row | {
            "x_variance": own.x, "y_variance": own.y, "covariance": own.covariance,
            "correlation": own.correlation if defined else None,
            "ci_low": between.low if between else None, "ci_high": between.high if between else None,
            "note": "; ".join([why] * bool(why) + list(grid.notes)),
        }  # fmt: skip


def _nothing(why: str, notes: Sequence[str]) -> dict[str, object]:
    empty = dict.fromkeys(("x_variance", "y_variance", "covariance", "correlation", "ci_low", "ci_high"))
    return {**empty, "note": "; ".join([why, *notes])}


def _correlation(place: int, sides: Sequence[Floats]) -> float:
    return component(place, sides).correlation


def _why(found: Component) -> str:
    if min(found.x, found.y) < _FLAT:
        return "not estimable: a variance is not positive"
    if not np.isfinite(found.correlation):
        return "not estimable: the covariance exceeds the variances"
    return ""
