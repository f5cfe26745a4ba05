"""The limit test: does tuning give a base model what its pretraining lacked?

Some base models are pretrained without a set of tasks. On exactly these tasks they are set against base models of the
same family and size whose pretraining had them, separately for tasks that the recipe tunes on and tasks it does not.
Exact match is compared, because it has no chance level that could hide an absence.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import pyarrow as pa

from app.analysis.pairs import pairs
from app.study import Analysis

METRIC = "exact_match"


class Means(NamedTuple):
    """Mean scores, fractions, over the pairs of some base models and tasks."""

    few_shot: float
    tuned: float
    zero_shot: float | None
    bases: int
    pairs: int


class Limit(NamedTuple):
    """One line of the test: the same tasks, the same family and size, with and without them in pretraining."""

    family: str
    params: int
    tuned_on: bool
    tasks: tuple[str, ...]
    metric: str
    without: Means
    intact: Means


def limit_test(scores: pa.Table, analysis: Analysis) -> list[Limit]:
    """Every comparison that the scores allow, by family, size and whether the tasks were tuned on.

    Empty where no base model was pretrained without a task, or none of the same family and size had it. Raises what
    `pairs` raises.
    """
    metric = METRIC if METRIC in scores["metric"].unique().to_pylist() else analysis.metric
    rows = pairs(scores, analysis.model_copy(update={"metric": metric})).table.to_pylist()
    removed: dict[str, set[str]] = {}
    for row in rows:
        if row["pretrained_on"] is False:
            removed.setdefault(str(row["base"]), set()).add(str(row["task"]))
    sets: dict[tuple[str, int, tuple[str, ...]], None] = {}
    for row in rows:
        if row["base"] in removed:
            sets[str(row["family"]), int(row["params"]), tuple(sorted(removed[str(row["base"])]))] = None
    found: list[Limit] = []
    for family, params, tasks in sorted(sets):
        same = [r for r in rows if (r["family"], r["params"]) == (family, params) and r["task"] in tasks]
        for tuned_on in (False, True):
            mine = [r for r in same if r["tuned_on"] is tuned_on]
            without = [r for r in mine if removed.get(str(r["base"])) == set(tasks)]
            intact = [r for r in mine if r["pretrained_on"] is True and r["base"] not in removed]
            if without and intact:
                names = tuple(sorted({str(r["task"]) for r in without}))
                found.append(Limit(family, params, tuned_on, names, metric, _means(without), _means(intact)))
    return found


def overall(found: Sequence[Limit]) -> list[Limit]:
    """The same over all families and sizes, one line for tasks tuned on and one for those held out; params is 0."""
    lines: list[Limit] = []
    for tuned_on in (False, True):
        mine = [line for line in found if line.tuned_on is tuned_on]
        if mine:
            tasks = tuple(sorted({task for line in mine for task in line.tasks}))
            without, intact = _pooled([m.without for m in mine]), _pooled([m.intact for m in mine])
            lines.append(Limit("all", 0, tuned_on, tasks, mine[0].metric, without, intact))
    return lines


def _pooled(parts: list[Means]) -> Means:
    pairs_ = sum(part.pairs for part in parts)

    def mean(values: Iterable[tuple[float | None, int]]) -> float | None:
        given = [(value, weight) for value, weight in values if value is not None]
        total = sum(weight for _, weight in given)
        return sum(value * weight for value, weight in given) / total if total else None

    few_shot, tuned = mean((p.few_shot, p.pairs) for p in parts), mean((p.tuned, p.pairs) for p in parts)
    zero_shot = mean((p.zero_shot, p.pairs) for p in parts)
    return Means(few_shot or 0.0, tuned or 0.0, zero_shot, sum(part.bases for part in parts), pairs_)


def _means(rows: Iterable[Mapping[str, object]]) -> Means:
    rows = list(rows)

    def mean(name: str) -> float | None:
        given = [cast(float, row[name]) for row in rows if row[name] is not None]
        return sum(given) / len(given) if given else None

    bases = len({row["base"] for row in rows})
    return Means(mean("x_raw") or 0.0, mean("y_raw") or 0.0, mean("z_raw"), bases, len(rows))
