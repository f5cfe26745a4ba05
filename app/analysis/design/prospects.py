"""What a planned study should add first, and what it cannot answer, in words.

Adding is judged by simulation: the design with half as many families, bases, tunings, tasks or items again, rounded up,
in the same made world and with the same seeds; by the interval of the difference, or of r where there is no rival.
Warnings are those that the report itself would give once the scores are there.
"""

import math
from collections import Counter
from typing import NamedTuple

from app.analysis.design.designs import Design, Growth, grown, size
from app.analysis.design.power import Power, error, simulate
from app.analysis.design.worlds import World
from app.analysis.estimation import refusals

GROWTHS: tuple[Growth, ...] = ("families", "bases", "tunings", "tasks", "items")
_FEW_ITEMS = 100
_ALPHA = 0.05
_SHARE = 2
"""A design with more of something gets this part of the experiments."""
_ENOUGH = 0.8
_ALIKE = 1.05
"""Widths that differ by less are within the error of so few experiments."""


class Option(NamedTuple):
    """The design with half as many of something again."""

    what: Growth
    power: Power
    before: int
    """How many of them there were."""

    @property
    def said(self) -> str:
        """What is added, from how many to how many."""
        return f"{self.what} ({self.before} to {size(self.power.design, self.what)})"


class Advice(NamedTuple):
    """What was tried, best first, and what to say of it and of the design."""

    options: tuple[Option, ...]
    first: str
    warnings: tuple[str, ...]


def advice(found: Power, world: World | None = None, seed: int = 0) -> Advice:
    """What narrows the doubly centred difference most when half as many are added, and what the design cannot carry."""
    count, design = max(1, found.experiments // _SHARE), found.design
    tried = [
        Option(what, simulate(grown(design, what), world, count, seed, check=False), size(design, what))
        for what in GROWTHS
    ]
    options = tuple(sorted(tried, key=_width))
    return Advice(options, _first(found, options), warnings(found))


def warnings(found: Power) -> tuple[str, ...]:
    """What the design cannot answer, each with what would mend it; the report says the same of the finished study."""
    design = found.design
    said = [found.refusal] if found.refusal else []
    said += _of_checkpoints(design) + _of_permutations(design)
    if design.items < _FEW_ITEMS:
        noise = "item noise pulls every correlation towards 0, and correcting for it needs more"
        said.append(f"{design.items} items a task are fewer than {_FEW_ITEMS}: {noise}")
    if not design.rival:
        said.append("the baseline is not measured: whether few-shot scores predict better than it cannot be asked")
        return tuple(said)
    if found.above_floor < refusals.MIN_TASKS:
        said.append(
            f"only {found.above_floor:.0f} of {design.tasks} tasks lie away from the floor in the simulated world, and "
            f"the check of a difference needs {refusals.MIN_TASKS}: no claim that few-shot is the better predictor"
        )
    if not found.refusal and found.claims < _ENOUGH:
        size, rarely = found.at("doubly_centred").true_delta, _percent(found.claims, found.experiments)
        said.append(
            f"were few-shot the better predictor by {size:+.2f}, as in the simulated world, the report would claim "
            f"it in {rarely} of studies like this: an open answer would not mean that there is no difference"
        )
    said.append("a base's zero-shot near its floor makes a difference by itself: small base models need easier tasks")
    return tuple(said)


def _of_checkpoints(design: Design) -> list[str]:
    if design.cluster_by != "checkpoint":
        return []
    counts = f"{len(design.models)} base models are checkpoints of {len(design.bases)} runs"
    return [f"{counts}, which intervals by base take for independent: use analysis.cluster_by: family"]


def _of_permutations(design: Design) -> list[str]:
    """Designs of which all arrangements together cannot reach p < .05."""
    models = Counter(design.families[design.models].tolist())
    ways = math.prod(math.factorial(size) for size in models.values())
    ways *= math.prod(math.factorial(alike) for alike in Counter(models.values()).values())
    swaps = 2 ** len(models)  # by families, whatever the intervals treat as independent
    said: list[str] = []
    if 1 / ways > _ALPHA:
        said.append(f"{ways} arrangements of bases: a permutation test cannot reach p < .05")
    if design.rival and 2 / swaps > _ALPHA:
        said.append(f"{swaps} ways to swap predictors by family: that test cannot reach p < .05")
    return said


def _first(found: Power, options: tuple[Option, ...]) -> str:
    """The sentence that says what to add."""
    design = found.design
    missing = refusals.MIN_TASKS - design.tasks
    groups = int(design.clusters.max()) + 1
    if missing > 0:
        return (
            f"add {missing} task{'s' if missing > 1 else ''} first: without {refusals.MIN_TASKS} there is no interval"
        )
    if groups < refusals.MIN_CLUSTERS:
        kind = "families" if design.cluster_by == "family" else "bases"
        return f"add {kind} first: intervals need {refusals.MIN_CLUSTERS} of them, and there are {groups}"
    now, then = found.at("doubly_centred"), options[0].power.at("doubly_centred")
    alike = [option.said for option in options if _width(option) <= _ALIKE * _width(options[0])]
    of, before, after = "the difference", now.delta_half_width, then.delta_half_width
    if not design.rival:
        of, before, after = "r", now.half_width, then.half_width
    return f"add {' or '.join(alike)} first: that brings the interval of {of} from ±{before:.3f} to about ±{after:.3f}"


def _width(option: Option) -> float:
    """Half-width in units of the true value, which more items make larger; what has no interval comes last."""
    found = option.power.at("doubly_centred")
    width, true = found.delta_half_width, found.true_delta
    if not option.power.design.rival:
        width, true = found.half_width, found.true_r
    width /= max(abs(true), 1e-3)
    return width if math.isfinite(width) else math.inf


def _percent(share: float, experiments: int) -> str:
    """With its Monte-Carlo error."""
    return f"{share:.0%} (±{100 * error(share, experiments):.0f})" if share >= 0.01 else "fewer than 1 in 100"
