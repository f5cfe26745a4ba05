"""How a plan stands against the records of a store, and what the tables say of a cell."""

from collections.abc import Mapping
from typing import NamedTuple

from app.identity import differences
from app.plan.cells import Cell, EvaluateCell, Inputs, Plan


class Standing(NamedTuple):
    """How a plan stands against the records of a store."""

    new: tuple[Cell, ...]
    reused: tuple[Cell, ...]
    stale: tuple[tuple[Cell, tuple[str, ...]], ...]
    """Cells recorded with other inputs, each with the leaves that changed."""


def standing(plan: Plan, records: Mapping[str, Inputs]) -> Standing:
    """Compare a plan with the inputs of recorded cells (by slug)."""
    new: list[Cell] = []
    reused: list[Cell] = []
    stale: list[tuple[Cell, tuple[str, ...]]] = []
    for cell in plan.cells:
        recorded = records.get(cell.slug)
        if recorded is None:
            new.append(cell)
        elif _same(recorded, cell.inputs):
            reused.append(cell)
        else:
            stale.append((cell, tuple(differences(recorded, cell.inputs))))
    return Standing(tuple(new), tuple(reused), tuple(stale))


def _same(recorded: object, wanted: object) -> bool:
    """Whether two inputs have one fingerprint, without making it: a plan has thousands of cells with long inputs."""
    if isinstance(recorded, Mapping) and isinstance(wanted, Mapping):
        return recorded.keys() == wanted.keys() and all(_same(recorded[key], wanted[key]) for key in wanted)
    if isinstance(recorded, list | tuple) and isinstance(wanted, list | tuple):
        return len(recorded) == len(wanted) and all(map(_same, recorded, wanted))
    return type(recorded) is type(wanted) and recorded == wanted


def columns(study: str, cell: EvaluateCell, params: int) -> dict[str, object]:
    """The columns of an evaluation's rows that say what was evaluated: study, base, run, condition, task, exposure."""
    run, ladder = cell.run, cell.base.ladder
    return {
        "study": study,
        "base": cell.base.slug,
        "family": cell.base.family,
        "params": params,
        "run": run.slug if run else None,
        "recipe": run.recipe_name if run else None,
        "format": run.recipe.format if run else None,
        "seed": run.seed if run else None,
        "condition": cell.condition.name,
        "wording": cell.condition.wording,
        "shots": cell.condition.shots,
        "shot_seed": cell.condition.shot_seed,
        "task": cell.task.name,
        "cluster": cell.task.cluster,
        "role": cell.task.role,
        "pretrained_on": cell.task.name not in ladder.without if ladder else None,
        "tuned_on": cell.task.name in {task.name for task in run.mixture} if run else None,
        "fingerprint": cell.fingerprint,
    }
