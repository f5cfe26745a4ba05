"""Designs of studies: how many models stand on which base models, over how many tasks and items.

A base model is one pretraining run; several checkpoints of it are no independent models. What intervals treat as
independent (`clusters`) is named apart, so that a wrong choice can be simulated as well as a right one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import StudyError
from app.plan import Base, Plan

ClusterBy = Literal["family", "base", "checkpoint"]
Growth = Literal["families", "bases", "tunings", "tasks", "items"]


class Pretrained(NamedTuple):
    """One pretraining run: the number of its family, its checkpoints in the study, tunings of each checkpoint."""

    family: int
    checkpoints: int = 1
    tunings: int = 1


@dataclass(frozen=True)
class Design:
    """A study without its scores."""

    bases: tuple[Pretrained, ...]
    tasks: int
    items: int
    """Of each task."""
    cluster_by: ClusterBy = "family"
    """What intervals treat as independent."""
    rival: bool = True
    """Whether the baseline is measured too, so that its difference from the predictor can be asked for."""

    @property
    def models(self) -> NDArray[np.int64]:
        """The base of each checkpoint, both in order: one entry for each model that x and z are measured on."""
        return np.repeat(np.arange(len(self.bases)), [base.checkpoints for base in self.bases])

    @property
    def runs(self) -> NDArray[np.int64]:
        """The model of each tuned model."""
        tunings = np.array([base.tunings for base in self.bases])[self.models]
        return np.repeat(np.arange(len(tunings)), tunings)

    @property
    def families(self) -> NDArray[np.int64]:
        """The family of each base, numbered from 0."""
        return np.unique([base.family for base in self.bases], return_inverse=True)[1]

    @property
    def clusters(self) -> NDArray[np.int64]:
        """The cluster of each tuned model, numbered from 0."""
        if self.cluster_by == "checkpoint":
            return self.runs
        base = self.models[self.runs]
        return base if self.cluster_by == "base" else self.families[base]

    @property
    def pairs(self) -> int:
        """Tuned models x tasks."""
        return len(self.runs) * self.tasks


def balanced(
    families: int,
    bases: int,
    tunings: int,
    tasks: int,
    items: int,
    *,
    checkpoints: int = 1,
    cluster_by: ClusterBy = "family",
) -> Design:
    """As many bases in each family, and tunings of each checkpoint."""
    one = [Pretrained(family, checkpoints, tunings) for family in range(families) for _ in range(bases)]
    return Design(tuple(one), tasks, items, cluster_by)


def planned(plan: Plan) -> Design:
    """The design that the report's answer would rest on.

    Base models pretrained without tasks are left out where others are intact. Hub models of one id are checkpoints of
    one run; `analysis.cluster_by: base` takes each for a cluster. Raises StudyError where nothing is paired.
    """
    x, y = plan.study.analysis.x, plan.study.analysis.y
    wanted = (x, *(("tuned-direct", "samplegen-direct") if y == "direct" else (y,)))
    paired = {cell.run.slug: cell.base.slug for cell in plan.evaluations if cell.run and cell.condition.name in wanted}
    tuned = Counter(paired.values())
    bases = {cell.base.slug: cell.base for cell in plan.evaluations if tuned[cell.base.slug]}.values()
    intact = [base for base in bases if not (base.ladder and base.ladder.without)]
    series: dict[str, list[Base]] = {}
    for base in intact or bases:
        series.setdefault(base.location if base.source == "hub" else base.slug, []).append(base)
    if not series:
        raise StudyError(
            f"no tuned model is evaluated as analysis.x: {x} or analysis.y: {y} asks, so nothing is paired with one: "
            "name a condition of tuned models"
        )
    names = sorted({base.family for base in bases})
    made = [
        Pretrained(names.index(same[0].family), len(same), max(1, round(sum(tuned[b.slug] for b in same) / len(same))))
        for same in series.values()
    ]
    by = plan.study.analysis.cluster_by
    several = any(base.checkpoints > 1 for base in made)
    tasks = len({cell.task.name for cell in plan.evaluations})
    rival = any(cell.condition.name == plan.study.analysis.baseline for cell in plan.evaluations)
    clusters = "checkpoint" if by == "base" and several else by
    return Design(tuple(made), tasks, plan.study.test_items, clusters, rival)


def size(design: Design, what: Growth) -> int:
    """How many there are of what can be added; of tunings the tuned models."""
    return {
        "families": int(design.families.max()) + 1,
        "bases": len(design.bases),
        "tunings": len(design.runs),
        "tasks": design.tasks,
        "items": design.items,
    }[what]


def grown(design: Design, what: Growth) -> Design:
    """The design with half as many again, rounded up: of new families, bases in the same families, tunings, ..."""
    bases = design.bases
    if what == "tasks":
        return replace(design, tasks=_half_again(design.tasks))
    if what == "items":
        return replace(design, items=_half_again(design.items))
    if what == "tunings":
        return replace(design, bases=tuple(base._replace(tunings=_half_again(base.tunings)) for base in bases))
    if what == "bases":
        return replace(design, bases=(*bases, *_in_turn(bases)[: _half_again(len(bases)) - len(bases)]))
    known = sorted({base.family for base in bases})
    copied = known[: _half_again(len(known)) - len(known)]
    new = [base._replace(family=known[-1] + 1 + copied.index(base.family)) for base in bases if base.family in copied]
    return replace(design, bases=(*bases, *new))


def _half_again(count: int) -> int:
    return count + (count + 1) // 2


def _in_turn(bases: Sequence[Pretrained]) -> list[Pretrained]:
    """The bases, one of each family in turn."""
    seen: Counter[int] = Counter()
    places: list[tuple[int, int]] = []
    for place, base in enumerate(bases):
        places.append((seen[base.family], place))
        seen[base.family] += 1
    return [bases[place] for _, place in sorted(places)]
