"""A made world that studies are drawn from, in order to know what intervals and tests of a design are worth.

On the logit scale a score is a task's easiness, a model's strength and what this model has for this task, each shared
by few-shot (x), zero-shot (z) and tuned (y) scores as far as given correlations say; bases of a family share a part of
theirs. Items are the same for all models: an item's difficulty, and what a model has for an item, make the noise.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from app.analysis.design.designs import Design, balanced
from app.analysis.estimation.coefficients import Floats, Sides, pearson_of_weights

Singles = NDArray[np.float32]

_DRAWN = 40
"""So many items are drawn one by one; the noise of more is theirs, made smaller."""
_LOGISTIC = (16 * 3**0.5 / (15 * np.pi)) ** 2
"""A logistic curve blurred by a normal of variance v is about one that is flatter by sqrt(1 + this x v)."""


class Shared(NamedTuple):
    """Correlations between effects on x, z and y."""

    xz: float
    xy: float
    zy: float


_OF_TASKS, _OF_MODELS, _OF_INTERACTIONS = Shared(0.9, 0.85, 0.8), Shared(0.9, 0.8, 0.7), Shared(0.6, 0.5, 0.35)


@dataclass(frozen=True)
class World:
    """Means and standard deviations on the logit scale. The default: few-shot is the better predictor."""

    means: tuple[float, float, float] = (-0.6, -1.0, -0.6)
    """Of x, z and y."""
    task: float = 1.2
    family: float = 0.4
    base: float = 0.6
    run: float = 0.3
    """Of a tuned model's strength beside its base's."""
    family_task: float = 0.35
    base_task: float = 0.45
    run_task: float = 0.35
    of_tasks: Shared = _OF_TASKS
    of_models: Shared = _OF_MODELS
    of_interactions: Shared = _OF_INTERACTIONS
    item: float = 1.2
    """Of the difficulty of items within a task."""
    item_model: float = 1.0
    """Of what a model has for an item."""
    item_sides: float = 0.7
    """Share of that variance which is the same for x, z and y."""
    serial: float = 0.9
    """Correlation of one checkpoint's effects with the next one's."""
    chances: tuple[float, ...] = (0.0, 0.0, 0.1, 0.2, 0.25, 0.25, 0.33, 0.5, 0.5)
    """Chance levels that tasks have, each as often."""


class Answered(NamedTuple):
    """Whether each item was answered right, runs x tasks x items; `chance` by task."""

    x: NDArray[np.bool_]
    y: NDArray[np.bool_]
    z: NDArray[np.bool_]
    chance: Floats


class _Study(NamedTuple):
    """Logits, models x tasks or runs x tasks, and which of as many items as were asked for are answered right."""

    logits: tuple[Floats, Floats, Floats]
    right: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]
    chance: Floats


def draw(design: Design, world: World, rng: np.random.Generator) -> Sides:
    """Scores of one study, corrected for chance: runs x tasks, where x and z of a model stand in all of its runs."""
    made = _study(design, world, min(design.items, _DRAWN), rng)
    x, z, y = (_scores(*one, made.chance, design.items) for one in zip(made.logits, made.right, strict=True))
    return Sides(x[design.runs], y, z[design.runs])


def draw_items(design: Design, world: World, rng: np.random.Generator) -> Answered:
    """The answers of one study, every item drawn; of as many items as `draw` draws, `draw` gives their scores."""
    made = _study(design, world, design.items, rng)
    x, z, y = made.right
    return Answered(x[design.runs], y, z[design.runs], made.chance)


def _study(design: Design, world: World, items: int, rng: np.random.Generator) -> _Study:
    """x, z and y, in this order."""
    runs = design.runs
    strengths = _strengths(design, world, rng)
    models = len(strengths)
    own = rng.normal(size=(len(runs), 1)) * world.run + rng.normal(size=(len(runs), design.tasks)) * world.run_task
    target = strengths[runs, :, 2] + own
    chance = rng.choice(world.chances, design.tasks)
    hard = world.item * rng.standard_normal((design.tasks, items), np.float32)
    liked = rng.standard_normal((models, design.tasks, items), np.float32)
    logits = (strengths[..., 0], strengths[..., 1], target)
    x, z = (_right(one, hard, liked, chance, world, rng) for one in logits[:2])
    y = _right(target, hard, liked[runs], chance, world, rng)
    return _Study(logits, (x, z, y), chance)


@lru_cache(maxsize=32)
def truth(world: World, items: int, rounds: int = 4, seed: int = 0) -> Floats:
    """Pearson's r with y at the five levels, of x and of z (2 x 5), among very many models and tasks.

    The noise of so many items stays in: what is estimated is the correlation of scores, not of abilities.
    """
    design = balanced(150, 1, 1, 200, items)  # where families are many, it is all one how bases share them
    found: list[Floats] = []
    for number in range(rounds):
        sides = draw(design, world, np.random.default_rng([seed, number]))
        found.append(np.stack([_all_levels(a, sides.y) for a in (sides.x, sides.z) if a is not None]))
    mean = np.tanh(np.mean([np.arctanh(one) for one in found], 0))
    mean.flags.writeable = False  # callers share it
    return mean


def _all_levels(a: Floats, b: Floats) -> Floats:
    return pearson_of_weights(a, b, np.ones((1, a.shape[0])), np.ones((1, a.shape[1])))[:, 0]


def _strengths(design: Design, world: World, rng: np.random.Generator) -> Floats:
    """Logits of x, z and what y has from its base: models x tasks x 3."""
    models, families = design.models, design.families
    groups, tasks = int(families.max()) + 1, design.tasks
    order = np.arange(len(models)) - np.searchsorted(models, models)  # the place of a checkpoint in its run

    def effects(shape: tuple[int, ...], shared: Shared) -> Floats:
        return rng.normal(size=(*shape, 3)) @ _root(shared)

    def in_series(shape: tuple[int, ...], shared: Shared) -> Floats:
        """One for each checkpoint; each goes on from the one before it, with the same variance."""
        made = effects((len(models), *shape), shared)
        for place in np.flatnonzero(order):
            made[place] = world.serial * made[place - 1] + (1 - world.serial**2) ** 0.5 * made[place]
        return made

    task = world.task * effects((tasks,), world.of_tasks)
    strength = world.family * effects((groups,), world.of_models)[families[models]]
    strength += world.base * in_series((), world.of_models)
    both = world.family_task * effects((groups, tasks), world.of_interactions)[families[models]]
    both += world.base_task * in_series((tasks,), world.of_interactions)
    return np.array(world.means) + task + strength[:, None] + both


def _root(shared: Shared) -> Floats:
    """The symmetric root of the correlation matrix of x, z, y; what no three variables can have is left at 0."""
    matrix = np.array([[1, shared.xz, shared.xy], [shared.xz, 1, shared.zy], [shared.xy, shared.zy, 1]])
    sizes, axes = np.linalg.eigh(matrix)
    return (axes * np.sqrt(np.maximum(sizes, 0))) @ axes.T


def _right(
    logits: Floats, hard: Singles, liked: Singles, chance: Floats, world: World, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which items are answered right: models x tasks x items."""
    steeper = (1 + _LOGISTIC * (world.item**2 + world.item_model**2)) ** 0.5
    own = rng.standard_normal(liked.shape, np.float32)
    shift = world.item_model * (world.item_sides**0.5 * liked + (1 - world.item_sides) ** 0.5 * own)
    known = special.expit((steeper * logits)[..., None].astype(np.float32) + hard + shift)
    guess = chance.astype(np.float32)[:, None]
    return rng.random(known.shape, np.float32) < guess + (1 - guess) * known


def _scores(logits: Floats, right: NDArray[np.bool_], chance: Floats, items: int) -> Floats:
    """Shares of right answers, corrected for chance: of `items`, of which those in `right` were drawn one by one."""
    score = (right.mean(-1, dtype=np.float64) - chance) / (1 - chance)
    expected = special.expit(logits)
    return expected + (right.shape[-1] / items) ** 0.5 * (score - expected)
