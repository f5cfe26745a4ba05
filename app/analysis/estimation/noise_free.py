"""Components of variance without the noise of items: from products of scores on different halves of the items.

`components` leaves that noise inside the interaction, whose variance is then too large and whose correlation is too
small. Here every variance is a covariance of halves A and B of one side, every covariance the mean of (xA, yB) and
(xB, yA), each averaged over the splits of `attenuation`; a half knows nothing of the other's noise.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from app import tables
from app.analysis.estimation import attenuation as at
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation.coefficients import Floats
from app.analysis.estimation.components import COMPONENTS, Component, moments
from app.analysis.estimation.refusals import too_few
from app.analysis.vocabulary import INTACT_FILTER
from app.study import Analysis

_FLAT = 1e-12


def components(items: pa.Table, pairs: pa.Table, analysis: Analysis, study_name: str) -> pa.Table:
    """Rows of the table "components" with noise "removed", of the predictor and of the baseline with what is predicted.

    Over the base models that lack no task. A correlation is refused as a corrected one is: a variance that is not
    positive, a reliability of the interaction below .4, an interval wider than .6; `note` says why. Empty where there
    are no items. Raises as `attenuation.answers`.
    """
    given = at.answers(items, pairs)
    intact = grids.intact(given.pairs)
    lacking = bool(intact.any() and not intact.all())
    mask = intact if lacking else np.full(given.pairs.num_rows, True)
    named = {"study": study_name, "y": analysis.y, "filter": INTACT_FILTER if lacking else "all", "noise": "removed"}
    rows: list[dict[str, object]] = []
    for predictor, side in ((analysis.x, "x"), (analysis.baseline, "z")):
        known = side == "x" or given.pairs["z"].null_count < given.pairs.num_rows
        if predictor is not None and known and given.pairs.num_rows:
            found = at.load(given, mask, analysis.cluster_by, rival=side == "z", whole=True)
            rows += [named | {"x": predictor} | row for row in _rows(found, given.pairs, side, analysis)]
    return tables.build("components", rows)


def component(place: int, halves: Sequence[Floats]) -> Component:
    """One of `COMPONENTS` from (xA, xB, yA, yB), each models x tasks x splits."""
    xa, xb, ya, yb = halves

    def product(a: Floats, b: Floats) -> float:
        return float(np.mean([moments(a[..., at_], b[..., at_])[place] for at_ in range(a.shape[2])]))

    return Component(product(xa, xb), product(ya, yb), (product(xa, yb) + product(xb, ya)) / 2)


def _rows(found: at.Loaded, pairs: pa.Table, side: str, analysis: Analysis) -> Iterator[dict[str, object]]:
    base = dict(zip(grids.run_names(pairs), pairs["base"].to_pylist(), strict=True))
    names, model = np.unique([base[run] for run in found.grid.runs] or np.empty(0, np.str_), return_inverse=True)
    tasks, clusters = len(found.grid.tasks), len(found.grid.cluster_names)
    row: dict[str, object] = {"n_clusters": clusters, "n_tasks": tasks}
    row |= dict.fromkeys(("x_variance", "y_variance", "covariance", "correlation", "ci_low", "ci_high"))
    if min(len(names), tasks) < 2:
        why = "not estimable: fewer than two models or tasks"
        for name in COMPONENTS:
            yield row | {"component": name, "note": "; ".join([why, *found.notes])}
        return
    parts = [half for name in (side, "y") for half in found.halves[name][:2]]
    halves = [np.array([half[model == number].mean(0) for number in range(len(names))]) for half in parts]
    groups = found.grid.clusters[[int(np.flatnonzero(model == number)[0]) for number in range(len(names))]]
    low = [
        name for name in (side, "y") if not at.reliability(found.halves[name], "doubly_centred") >= at.MIN_RELIABILITY
    ]
    few = too_few(clusters, tasks, analysis.cluster_by)
    for place, name in enumerate(COMPONENTS):
        own = component(place, halves)
        why = _refused(own, low if name == "interaction" else [])
        between = None
        if not why and not few:
            between = jk.interval(jk.leave_out_of(partial(_correlation, place), halves, groups), fisher=True)
            why = _too_wide(between)
        told = row | {"x_variance": own.x, "y_variance": own.y, "covariance": own.covariance}
        if not why:
            told |= {"correlation": own.correlation}
        if between and not why:
            told |= {"ci_low": between.low, "ci_high": between.high}
        yield told | {"component": name, "note": "; ".join([note for note in (why or few,) if note] + [*found.notes])}


def _correlation(place: int, halves: Sequence[Floats]) -> float:
    return component(place, halves).correlation


def _refused(own: Component, low: Sequence[str]) -> str:
    if min(own.x, own.y) < _FLAT:
        return "not estimable: a variance is not positive"
    if low:
        return f"not estimable: reliability of {' and '.join(low)} below {at.MIN_RELIABILITY}"
    return "" if np.isfinite(own.correlation) else "not estimable: the covariance exceeds the variances"


def _too_wide(between: jk.Interval | None) -> str:
    if between is None:
        return "not estimable: undefined without some cluster or task"
    width = between.high - between.low
    return f"not estimable: its interval is {width:.2f} wide, more than {at.MAX_WIDTH}" if width > at.MAX_WIDTH else ""
