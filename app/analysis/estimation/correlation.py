"""Pairs to correlations: every level, method and subset, with an interval or the reason why there is none.

Predictors appear in the column x: a condition by its name; "A - B" for the difference of two predictors' coefficients
(methods ending in -delta); "A | B" for A with B held fixed (pearson-partial). Differences are the test of whether
few-shot predicts better than the base model's own zero-shot does, and are claimed only after the check on normal
scores over tasks away from the floor (filter "median>0.15"): a rival near its floor manufactures a difference.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial as bind
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app import tables
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import estimates as es
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation import multiplicity, permutation
from app.analysis.estimation.refusals import alike, lone, too_few
from app.analysis.estimation.subsets import Subset, of_wording, subsets
from app.analysis.pairing.pairs import pairs as paired
from app.analysis.vocabulary import INTACT_FILTER, Level
from app.study import Analysis


class _Refused(NamedTuple):
    """Why there is no estimate at all, and why there is no interval; empty where there may be one."""

    estimate: str
    interval: str


class _Measure(NamedTuple):
    """One row to be: its method and predictor, the scale of its interval, and how its replicates are made."""

    method: str
    x: str
    fisher: bool
    blocks: bool
    replicates: Callable[[bool], jk.Replicates]
    checks: Callable[[], es.Checks] | None = None
    note: str = ""
    undefined: str = ""


def correlations(
    pairs: pa.Table, analysis: Analysis, study_name: str, further: Iterable[dict[str, object]] = ()
) -> pa.Table:
    """The table "correlations" of a table "pairs", and of `further` rows, made elsewhere, that count among its tests.

    Subsets: all pairs; role=, tuned_on= (each value present); cluster=, recipe=, mixture=, task= and run= (where there
    are several); family!= (leave one family out), family=; median> (tasks away from the floor). Where some base models
    were pretrained without tasks: bases=intact, alone and with the others after a comma. Intervals are jack2's, over
    families or bases (`analysis.cluster_by`) and tasks; beside those of Pearson's r stand the pigeonhole bootstrap's
    and a permutation test. There is none below 10 tasks or 5 clusters, nor where an estimate or a replicate is
    undefined; `note` says why, and names what was left out.

    Raises StoreError where a base, run and task occur twice.
    """
    found = grids.cells(tables.checked("pairs", pairs), analysis.cluster_by)
    conditions = (analysis.x, analysis.y, analysis.baseline)
    facts, rows = es.facts(pairs), list[dict[str, object]]()
    for subset in subsets(pairs, found):
        for row in _rows(found.where(subset.mask), facts, subset, conditions, analysis.cluster_by):
            rows.append({"study": study_name, "y": analysis.y, "filter": subset.name, **row})
    intact = grids.intact(pairs)
    main = INTACT_FILTER if intact.any() and not intact.all() else "all"
    return tables.build("correlations", multiplicity.adjusted([*rows, *further], main, analysis.x))


def of_wordings(scores: pa.Table, analysis: Analysis, study_name: str) -> list[dict[str, object]]:
    """Rows for the pairs of each wording of a table "scores" (filters wording=), to go with `correlations`.

    Empty where there is only one. Raises as `pairs.pairs`.
    """
    names = scores["wording"].unique().to_pylist()
    rows: list[dict[str, object]] = []
    for name in names if len(names) > 1 else ():
        made = paired(scores, analysis.model_copy(update={"wording": name})).table
        found, facts, subset = grids.cells(made, analysis.cluster_by), es.facts(made), of_wording(name, made)
        conditions = (analysis.x, analysis.y, analysis.baseline)
        for row in _rows(found, facts, subset, conditions, analysis.cluster_by) if made.num_rows else ():
            rows.append({"study": study_name, "y": analysis.y, "filter": subset.name, **row})
    return rows


def _rows(
    found: grids.Cells, facts: es.Facts, subset: Subset, conditions: tuple[str, str, str | None], cluster_by: str
) -> Iterator[dict[str, object]]:
    x, _, z = conditions
    plain = es.Estimates(grids.gridded(found, rival=False), facts)
    has_rival = z is not None and bool(np.isfinite(found.z).any())
    rival = es.Estimates(grids.gridded(found, rival=True), facts) if has_rival else None
    if rival and np.array_equal(rival.grid.sides.x, plain.grid.sides.x, equal_nan=True):
        plain = rival  # z is missing nowhere: one grid serves both
    for level in subset.levels:
        refused = _refused(plain.grid, found, facts, subset, level, cluster_by)
        for measure in _measures(plain, level, subset, x, None):
            yield _row(plain.grid, level, measure, cluster_by, refused)
        if rival is not None:
            refused = _refused(rival.grid, found, facts, subset, level, cluster_by)
            for measure in _measures(rival, level, subset, x, z):
                yield _row(rival.grid, level, measure, cluster_by, refused)


def _refused(
    grid: grids.Grid, found: grids.Cells, facts: es.Facts, subset: Subset, level: Level, cluster_by: str
) -> _Refused:
    # Where nothing varies, what the scores were of says why: all runs of one base model have one x.
    runs, all_tasks = grid.runs or tuple(map(str, np.unique(found.runs))), grid.tasks or np.unique(found.tasks)
    bases, families = (len({named[run] for run in runs}) for named in (facts.bases, facts.families))
    few = too_few(len(grid.cluster_names), len(grid.tasks), cluster_by)
    alone = "" if subset.of_one else lone(bases, len(all_tasks))
    return _Refused(alone, few or alike(level, bases, families, cluster_by))


def _measures(found: es.Estimates, level: Level, subset: Subset, x: str, z: str | None) -> Iterator[_Measure]:
    """Without a rival `z`: what x predicts. With one: what z predicts, and what x adds to it."""
    for method in subset.methods:
        plain = method == "pearson"
        check = {
            side: bind(found.checks, level, side) if plain and subset.checked else None for side in ("x", "z", "x - z")
        }
        if z is None:
            yield _Measure(method, x, True, plain, bind(found.single, level, method, "x"), check["x"])
        else:
            yield _Measure(method, z, True, plain, bind(found.single, level, method, "z"), check["z"])
            delta = bind(found.delta, level, method)
            yield _Measure(f"{method}-delta", f"{x} - {z}", False, plain, delta, check["x - z"])
    if "kendall" in subset.methods:
        yield from _further(found, level, x, z)
    if subset.sensitivity and level == "doubly_centred":
        if z is None:
            yield _Measure("normal-scores", x, True, False, bind(es.general, found.grid, es.normal_x))
        else:
            difference = bind(es.normal_difference, found.grid)
            yield _Measure("normal-scores-delta", f"{x} - {z}", False, True, difference)


def _further(found: es.Estimates, level: Level, x: str, z: str | None) -> Iterator[_Measure]:
    """How near pairs lie to the diagonal, and what x says beyond what else is known."""
    if z is None and level in ("pooled", "model", "task"):
        yield _Measure("concordance", x, True, False, bind(es.general, found.grid, bind(es.concordance, level)))
    if z is not None and level in ("pooled", "doubly_centred"):
        held = bind(es.general, found.grid, bind(es.partial_at, level))
        yield _Measure("pearson-partial", f"{x} | {z}", True, False, held)
    if z is not None and level in ("pooled", "within_task"):
        name, beyond = f"{x} | {z}, log params, chance", bind(found.beyond, level)
        yield _Measure("pearson-partial", name, True, False, beyond, None, found.unheld(level), found.unsized())


def _row(grid: grids.Grid, level: Level, measure: _Measure, cluster_by: str, refused: _Refused) -> dict[str, object]:
    _, tasks = grid.shape
    clusters = len(grid.cluster_names)
    made = measure.replicates(refused.interval == "")
    defined = bool(np.isfinite(made.estimate)) and not refused.estimate
    found = jk.interval(made, fisher=measure.fisher) if defined and not refused.interval else None
    notes = [*grid.notes, *([measure.note] if defined and measure.note else [])]
    if not defined:
        notes.insert(0, f"not estimable: {refused.estimate or _undefined(grid, level, measure.undefined)}")
    elif refused.interval:
        notes.insert(0, refused.interval)
    elif found is None:
        notes.insert(0, "no interval: the estimate is exact or undefined without some family, base or task")
    elif cluster_by == "base":
        notes.append("the interval treats bases as independent")
    checks = measure.checks() if found and measure.checks else es.Checks(None, permutation.Permuted(None, ""))
    if found and measure.checks and checks.boot is None:
        notes.append("no bootstrap interval: more than 1 % of its draws are undefined")
    if checks.permuted.note:
        notes.append(checks.permuted.note)
    return {
        "level": level,
        "method": measure.method,
        "x": measure.x,
        "estimate": made.estimate if defined else None,
        "ci_low": found.low if found else None,
        "ci_high": found.high if found else None,
        "p_value": found.p_value if found else None,
        "boot_low": checks.boot[0] if checks.boot else None,
        "boot_high": checks.boot[1] if checks.boot else None,
        "p_permutation": checks.permuted.p,
        "p_holm": None,
        "q_value": None,
        "tests": "",
        "n": grid.pairs,
        "n_clusters": clusters,
        "n_tasks": tasks,
        "df": found.df if found else None,
        "interval": f"jack2 by {cluster_by}{'' if measure.blocks else ', no block term'}" if found else "none",
        "note": "; ".join(notes),
    }


def _undefined(grid: grids.Grid, level: Level, otherwise: str) -> str:
    runs, tasks = grid.shape
    if not runs * tasks:
        return "no pairs that vary"
    if level in ("model", "task") and co.apart(grid.sides.x):
        return "groups of runs and tasks have no cell in common, so nothing tells hard tasks from weak models"
    if co.free_cells(grid.sides.x, level) < 2:
        return f"too few for this level (runs: {runs}, tasks: {tasks})"
    return otherwise or "a side has no variance at this level"
