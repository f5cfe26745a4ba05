"""Per-item results of both sides of each pair, joined: the table "items", and the check that the items are the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from app import tables
from app.analysis.own import harness_samples
from app.analysis.own.given import UNKNOWN, X, Y, Z
from app.analysis.own.harness_files import TaskResult
from app.analysis.own.harness_match import Origin, TaskFacts
from app.analysis.own.harness_samples import Sample

Samples = Mapping[int, Sample]


class Cell(NamedTuple):
    """One model on one task under one condition."""

    model: str
    condition: str
    params: int
    result: TaskResult
    facts: Mapping[str, str] = {}
    """How it was computed."""


class Joined(NamedTuple):
    """What the per-item results say. `cells` lacks those whose items are not those of the base model's x."""

    cells: list[Cell]
    items: pa.Table | None
    """The table "items"; None where no pair has per-item results of right or wrong on both sides."""
    chances: Mapping[str, float]
    """Task to what guessing scores, by the options of its items."""
    params: Mapping[str, int]
    """Model to parameters, where the harness counted them."""
    told: list[str]


def join(
    study: str,
    cells: Sequence[Cell],
    origins: Mapping[str, Origin],
    metrics: Mapping[str, str],
    facts: Mapping[str, TaskFacts],
) -> Joined:
    """Read per-item results, task by task. `metrics`: the metric of each task that its items are judged by."""
    parts: list[pa.Table] = []
    chances: dict[str, float] = {}
    params = {cell.model: cell.params for cell in cells if cell.params}
    alien: set[tuple[str, str, str]] = set()
    by_task: dict[str, list[Cell]] = {}
    for cell in cells:
        by_task.setdefault(cell.result.task, []).append(cell)
    for task, mine in by_task.items():
        read = {
            (cell.model, cell.condition): harness_samples.read(cell.result.samples)
            for cell in mine
            if cell.result.samples.is_file()
        }
        known = next((level for samples in read.values() if (level := harness_samples.chance(samples))), None)
        if known is not None:
            chances[task] = known
        for cell in mine:
            origin = origins.get(cell.model)
            x, y = (read.get((origin.base, X)), read.get((cell.model, Y))) if origin else (None, None)
            if origin is None or x is None or y is None or cell.condition != Y:
                continue
            if _texts(x) != _texts(y):
                alien.add((cell.model, Y, task))
                continue
            z = read.get((origin.base, Z), {})
            if z and _texts(x) != _texts(z):
                alien.add((origin.base, Z, task))
                z = {}
            rows = list(_rows(x, y, z, metrics.get(task, "")))
            named = _named(study, cell, origin, origin.params or params.get(origin.base, 0), facts.get(task))
            parts.append(tables.build("items", [named | row for row in rows]))
    told = [
        f"{model} was asked other items of {task} than its base model: left out."
        if condition == Y
        else f"{model} was asked other items of {task} without examples than with them: no baseline there."
        for model, condition, task in sorted(alien)
    ]
    kept = [cell for cell in cells if (cell.model, cell.condition, cell.result.task) not in alien]
    by_pair = [(name, "ascending") for name in ("base", "run", "task")]  # as pairs are; items keep their order
    items = pa.concat_tables(parts).sort_by(by_pair) if parts else None
    return Joined(kept, items if items is not None and items.num_rows else None, chances, params, told)


def _texts(samples: Samples) -> dict[int, str]:
    return {item: sample.hash for item, sample in samples.items()}


def _rows(x: Samples, y: Samples, z: Samples, metric: str) -> Iterator[dict[str, object]]:
    """One row an item; nothing where the metric is not right or wrong for each of them."""
    sides = [{item: sample.scores.get(metric) for item, sample in side.items()} for side in (x, y, z)]
    if any(score not in (0.0, 1.0) for side in sides[:2] for score in side.values()):
        return
    for item in sorted(x):
        same = sides[2].get(item) in (0.0, 1.0)
        yield {
            "item": f"{item}-{x[item].hash[:8]}",
            "metric": metric,
            "x": sides[0][item],
            "y": sides[1][item],
            "z": sides[2][item] if same else None,
            "x_margin": x[item].margin,
            "prompt_tokens": 0,
            "options": x[item].options,
        }


def _named(study: str, cell: Cell, origin: Origin, params: int, facts: TaskFacts | None) -> dict[str, object]:
    return {
        "study": study,
        "base": origin.base,
        "family": origin.family or origin.base,
        "params": params,
        "run": cell.model,
        "recipe": origin.recipe,
        "format": "regular",
        "seed": None,
        "task": cell.result.task,
        "cluster": (facts.cluster if facts else "") or UNKNOWN,
        "role": (facts.role if facts else "") or "evaluate",
    }
