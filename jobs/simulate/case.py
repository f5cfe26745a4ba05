"""A design in one of five worlds; apart from the studies that designs come from, so that workers start light.

In the world "few-shot better" x predicts y better than z does. In "equal" both predict alike, so that a difference is
never true; in "equal, z at its floor" zero-shot scores lie near 0 besides, in "equal, z half-way" some of them do. In
"nothing" neither says anything of y beyond which tasks are hard.
"""

from dataclasses import replace
from typing import NamedTuple

from app.analysis.design.designs import Design
from app.analysis.design.worlds import Shared, World

BETTER = World()
EQUAL = World(
    means=(-0.6, -0.6, -0.6),
    of_tasks=Shared(0.9, 0.85, 0.85),
    of_models=Shared(0.9, 0.8, 0.8),
    of_interactions=Shared(0.6, 0.5, 0.5),
)
FLOOR = replace(EQUAL, means=(-0.6, -2.5, -0.6))
HALFWAY = replace(EQUAL, means=(-0.6, -1.75, -0.6))
NOTHING = replace(EQUAL, of_models=Shared(0.9, 0, 0), of_interactions=Shared(0.6, 0, 0), item_sides=0.0)


class Case(NamedTuple):
    """A design in a world; `missing`: the share of cells that are taken out at random."""

    name: str
    part: str
    """The section that it stands in: coverage, further, items, difference, permutation, missing or checkpoints."""
    design: Design
    world: World
    missing: float = 0.0
    share: float = 1.0
    """Of the experiments of the other cases: what takes long has fewer."""

    def count(self, experiments: int) -> int:
        """How many of its own where the other cases have so many."""
        return max(2, round(self.share * experiments))
