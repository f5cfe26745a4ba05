"""The report's plain tables: base models, tasks, extraction failures, missing pairs.

Means are of chance-corrected scores.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import pyarrow as pa

from app.analysis.answer import Row, find
from app.analysis.pairs import Missing

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
        found.append(TaskLine(*kept, *counts, *means, r.estimate if r else None))
    return found


def extraction(scores: pa.Table) -> tuple[list[Extraction], list[Extraction]]:
    """Failures by condition, and the eight worst places: base or run, condition, task."""
    seen: dict[tuple[str, str, str], tuple[int, int]] = {}
    keys = ("base", "run", "condition", "shots", "shot_seed", "task")
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


def _groups(rows: Iterable[Record], keys: Sequence[str]) -> list[tuple[tuple[object, ...], list[Record]]]:
    groups: dict[tuple[object, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return sorted(groups.items(), key=lambda item: tuple(cast(str, part) for part in item[0]))


def _mean(rows: Iterable[Record], name: str) -> float | None:
    given = [cast(float, row[name]) for row in rows if row[name] is not None]
    return sum(given) / len(given) if given else None
