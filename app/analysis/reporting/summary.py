"""The report's plain tables: base models, tasks, extraction failures, missing pairs.

Means are of chance-corrected scores.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import pyarrow as pa

from app.analysis.answer import Row, find
from app.analysis.pairing.pairs import Missing, chance_corrected

Record = Mapping[str, object]


class BaseLine(NamedTuple):
    """One base model; `tuned` has one cell for each recipe, in the order of `recipes`: held out and tuned on."""

    base: str
    family: str
    params: int
    few_shot: float | None
    zero_shot: float | None
    tuned: tuple[tuple[float | None, float | None], ...]


class TaskLine(NamedTuple):
    """One task over all runs; `r` is Pearson's over the runs, descriptive only."""

    task: str
    cluster: str
    role: str
    metric: str
    chance: float
    n: int
    few_shot: float | None
    zero_shot: float | None
    tuned: float | None
    r: float | None
    floor: tuple[float, ...]
    """Share of pairs whose x, y, z cannot be told from chance."""
    ceiling: tuple[float, ...]


class ConditionLine(NamedTuple):
    """One condition of one recipe (or of the base models); `means` has one cell for each wording of the study."""

    condition: str
    shots: int
    recipe: str
    models: int
    means: tuple[float | None, ...]
    unread: tuple[int, int]
    """SampleGen texts that came to no answer, and all of them."""


class Extraction(NamedTuple):
    """Generated answers from which nothing could be extracted."""

    what: str
    failures: int
    items: int


def recipes(pairs: Sequence[Record]) -> tuple[str, ...]:
    """The recipes of the pairs, by name; several seeds of one recipe are averaged."""
    return tuple(sorted({str(row["recipe"]) for row in pairs if row["recipe"] is not None}))


def by_base(pairs: Sequence[Record]) -> list[BaseLine]:
    """Base models by family, size and name."""
    found: list[BaseLine] = []
    for (family, params, base), rows in _groups(pairs, ("family", "params", "base")):
        tuned = tuple(
            (
                _mean((r for r in rows if r["recipe"] == name and not r["tuned_on"]), "y"),
                _mean((r for r in rows if r["recipe"] == name and r["tuned_on"]), "y"),
            )
            for name in recipes(pairs)
        )
        found.append(BaseLine(str(base), str(family), cast(int, params), _mean(rows, "x"), _mean(rows, "z"), tuned))
    return found


def by_task(pairs: Sequence[Record], correlations: Sequence[Row]) -> list[TaskLine]:
    """Tasks by role and name."""
    found: list[TaskLine] = []
    for (role, task), rows in _groups(pairs, ("role", "task")):
        one = rows[0]
        r = find(correlations, "pooled", filter=f"task={task}")
        kept = (str(task), str(one["cluster"]), str(role), str(one["metric"]))
        counts = (cast(float, one["chance"]), cast(int, one["n"]))
        means = (_mean(rows, "x"), _mean(rows, "z"), _mean(rows, "y"))
        ends = (_at_end(rows, "floor"), _at_end(rows, "ceiling"))
        found.append(TaskLine(*kept, *counts, *means, r.estimate if r else None, *ends))
    return found


def wordings(scores: pa.Table) -> tuple[str, ...]:
    """The wordings of a table, in its order."""
    return tuple(dict.fromkeys(scores["wording"].to_pylist()))


def by_condition(scores: pa.Table) -> list[ConditionLine]:
    """Mean chance-corrected primary score over models and tasks, by condition and recipe, against wording."""
    known = wordings(scores)
    order = {name: place for place, name in enumerate(dict.fromkeys(scores["condition"].to_pylist()))}
    rows = [row for row in scores.to_pylist() if row["primary"] and math.isfinite(row["high"])]
    found: list[ConditionLine] = []
    for (condition, shots, recipe), group in _groups(
        [row | {"recipe": row["recipe"] or ""} for row in rows], ("condition", "shots", "recipe")
    ):
        means = tuple(
            _mean_of(
                chance_corrected(row["value"], row["chance"], row["high"])
                for row in cast(list[dict[str, Any]], group)
                if row["wording"] == wording
            )
            for wording in known
        )
        counted = [row for row in group if row["format_failures"] is not None]
        unread = (
            sum(cast(int, row["format_failures"]) for row in counted),
            sum(cast(int, row["n"]) for row in counted),
        )
        models = len({(row["base"], row["run"]) for row in group})
        found.append(ConditionLine(str(condition), cast(int, shots), str(recipe), models, means, unread))
    return sorted(found, key=lambda line: (order[line.condition], line.recipe, line.shots))


def cut_prompts(scores: pa.Table) -> tuple[int, int]:
    """Prompts that were too long for a model's context and lost their beginning, and all of them."""
    rows = [row for row in scores.to_pylist() if row["primary"]]
    return sum(row["cut_prompts"] for row in rows), sum(row["n"] for row in rows)


def extraction(scores: pa.Table) -> tuple[list[Extraction], list[Extraction]]:
    """Failures by condition, and the eight worst places: base or run, condition, task."""
    seen: dict[tuple[str, str, str], tuple[int, int]] = {}
    keys = ("base", "run", "condition", "wording", "shots", "shot_seed", "task")
    once: set[tuple[object, ...]] = set()
    for row in scores.to_pylist():
        key = tuple(row[name] for name in keys)
        if row["extraction_failures"] is None or key in once:
            continue
        once.add(key)
        place = (str(row["condition"]), str(row["run"] or row["base"]), str(row["task"]))
        failures, items = seen.get(place, (0, 0))
        seen[place] = (failures + row["extraction_failures"], items + row["n"])
    by_condition: dict[str, Extraction] = {}
    for (condition, _, _), (failures, items) in seen.items():
        had = by_condition.get(condition, Extraction(condition, 0, 0))
        by_condition[condition] = Extraction(condition, had.failures + failures, had.items + items)
    places = [Extraction(" · ".join((run, where, task)), *counts) for (where, run, task), counts in seen.items()]
    places.sort(key=lambda e: (-e.failures / max(e.items, 1), e.what))
    return [by_condition[c] for c in sorted(by_condition)], [p for p in places if p.failures][:8]


def missing(found: Sequence[Missing]) -> list[tuple[str, int, str]]:
    """Reason, how many pairs, an example; the commonest first."""
    counts = Counter(m.reason for m in found)
    example = {m.reason: f"{m.run or m.base}, {m.task}" for m in reversed(found)}
    return [(reason, count, example[reason]) for reason, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))]


def _at_end(rows: Sequence[Record], name: str) -> tuple[float, ...]:
    return tuple(sum(side in str(row[name]) for row in rows) / len(rows) for side in "xyz")


def _groups(rows: Iterable[Record], keys: Sequence[str]) -> list[tuple[tuple[object, ...], list[Record]]]:
    groups: dict[tuple[object, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return sorted(groups.items(), key=lambda item: tuple(cast(str, part) for part in item[0]))


def _mean(rows: Iterable[Record], name: str) -> float | None:
    return _mean_of(cast(float, row[name]) for row in rows if row[name] is not None)


def _mean_of(values: Iterable[float]) -> float | None:
    given = list(values)
    return sum(given) / len(given) if given else None
