"""The limit test: does tuning give a base model what its pretraining lacked?

Some base models are pretrained without a set of tasks. On exactly these tasks they are set against base models of the
same family and size whose pretraining had them, separately for tasks that the recipe tunes on and tasks it does not.
Exact match is compared, because it has no chance level that could hide an absence. Each family, size and task counts
once, however many base models and runs it has, so that both sides of a difference rest on the same mixture.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app import tables
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation.coefficients import Floats
from app.analysis.estimation.refusals import too_few
from app.analysis.pairing.pairs import pairs
from app.study import Analysis

METRIC = "exact_match"
MIN_TASKS = 5
"""Fewer tasks than correlations need: a mean over tasks is estimable from few, their correlation is not."""

_SIDES = ("x", "y", "z")
Row = Mapping[str, object]


class Cell(NamedTuple):
    """One task, family and size: pairs of base models pretrained without the task, and of those that lack nothing."""

    family: str
    params: int
    task: str
    without: list[Row]
    intact: list[Row]

    def means(self, side: str) -> tuple[float, float]:
        """Mean score without and intact, fractions; NaN where a side was not scored."""
        found = [[cast(float | None, row[f"{side}_raw"]) for row in rows] for rows in (self.without, self.intact)]
        without, intact = (np.array(values, np.float64).mean() for values in found)
        return float(without), float(intact)


def limits(scores: pa.Table, analysis: Analysis, study_name: str) -> pa.Table:
    """The table "limits": for each family and size, and over all, what leaving tasks out of pretraining changed.

    Sides are x, y and, where the study has a baseline, z. Over all there is jack2's interval (on the scale of the
    scores) by family, or by family and size where `analysis.cluster_by` is base: base models of
    one family and size are compared with one another. It is null below 5 clusters or tasks, and `note` says why.
    Empty where no base model was pretrained without a task, or none of the same family and size had it. Raises what
    `pairs` raises.
    """
    metric = METRIC if METRIC in scores["metric"].unique().to_pylist() else analysis.metric
    found = pairs(scores, analysis.model_copy(update={"metric": metric})).table.to_pylist()
    rows: list[dict[str, object]] = []
    for tuned_on in (False, True):
        cells = list(_cells([row for row in found if row["tuned_on"] is tuned_on], _lacking(found)))
        told: dict[str, object] = {"study": study_name, "tuned_on": tuned_on, "metric": metric}
        for side in _SIDES:
            given = [cell for cell in cells if np.isfinite(cell.means(side)).all()]
            rows += [told | {"side": side} | line for line in _lines(given, side, analysis)]
    rows.sort(key=lambda r: (r["family"] != "all", r["family"], r["params"], r["tuned_on"], r["side"]))
    return tables.build("limits", rows)


def _lacking(rows: Sequence[Row]) -> set[object]:
    """Base models that were pretrained without some task."""
    return {row["base"] for row in rows if row["pretrained_on"] is False}


def _cells(rows: Sequence[Row], lacking: set[object]) -> Iterator[Cell]:
    """Every task, family and size with both kinds of base models."""
    groups: dict[tuple[str, int, str], tuple[list[Row], list[Row]]] = {}
    for row in rows:
        key = (str(row["family"]), cast(int, row["params"]), str(row["task"]))
        without, intact = groups.setdefault(key, ([], []))
        if row["pretrained_on"] is False:
            without.append(row)
        elif row["pretrained_on"] is True and row["base"] not in lacking:
            intact.append(row)
    for key, (without, intact) in sorted(groups.items(), key=lambda group: group[0]):
        if without and intact:
            yield Cell(*key, without, intact)


def _lines(cells: Sequence[Cell], side: str, analysis: Analysis) -> Iterator[dict[str, object]]:
    """One line for each family and size, then one over all of them."""
    strata = sorted({(cell.family, cell.params) for cell in cells})
    for family, params in strata:
        mine = [cell for cell in cells if (cell.family, cell.params) == (family, params)]
        note = "descriptive only: base models of one family and size"
        yield _line(mine, side) | {"family": family, "params": params, "note": note}
    if cells:
        yield _line(cells, side) | {"family": "all", "params": 0} | between(cells, side, analysis)


def _line(cells: Sequence[Cell], side: str) -> dict[str, object]:
    without, intact = np.array([cell.means(side) for cell in cells]).mean(0)
    lacking = [row for cell in cells for row in cell.without]
    having = [row for cell in cells for row in cell.intact]
    return {
        "without": float(without),
        "intact": float(intact),
        "effect": float(without - intact),
        "ci_low": None,
        "ci_high": None,
        "bases_without": len({row["base"] for row in lacking}),
        "bases_intact": len({row["base"] for row in having}),
        "pairs": len(lacking) + len(having),
        "tasks": sorted({cell.task for cell in cells}),
    }


def between(cells: Sequence[Cell], side: str, analysis: Analysis) -> dict[str, object]:
    """The interval over all families and sizes, or why there is none."""
    by_family = analysis.cluster_by == "family"
    cluster = np.array([cell.family if by_family else f"{cell.family} {cell.params}" for cell in cells], np.str_)
    task = np.array([cell.task for cell in cells], np.str_)
    clusters, tasks = np.unique(cluster), np.unique(task)
    why = too_few(len(clusters), len(tasks), analysis.cluster_by, MIN_TASKS)
    if why:
        return {"note": why}
    effects = np.array([without - intact for without, intact in (cell.means(side) for cell in cells)])
    kept = [[effects[names != name] for name in values] for names, values in ((cluster, clusters), (task, tasks))]
    by_cluster, by_task = ([part.mean() if part.size else np.nan for part in parts] for parts in kept)
    blocks = _blocks(effects - effects.mean(), cluster, task)
    found = jk.interval(
        jk.Replicates(float(effects.mean()), np.array(by_cluster), np.array(by_task), blocks), fisher=False
    )
    if found is None:
        return {"note": f"no interval: the effect does not vary over {'families' if by_family else 'bases'} and tasks"}
    return {"ci_low": found.low, "ci_high": found.high, "note": f"jack2 by {analysis.cluster_by}"}


def _blocks(influence: Floats, cluster: NDArray[np.str_], task: NDArray[np.str_]) -> float:
    """jack2's Vft of a mean: the variance from the sums of its cluster x task blocks; one entry a cell."""
    block = np.unique(np.stack([cluster, task]), axis=1, return_inverse=True)[1]
    return float((np.bincount(np.ravel(block), influence) ** 2).sum() / len(influence) ** 2)
