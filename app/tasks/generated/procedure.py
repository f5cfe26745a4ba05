"""From a way to draw pairs to a task: items, their split into train and test, their options.

A `Procedure` is a task together with what the pretraining corpus needs to talk about it. The corpus draws pairs
from the whole input space, frequent ones more often; the task's own items are split by a hash of their content, so
that no demonstration or tuning example repeats a test item, not even turned round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import NamedTuple, TypeVar

from app.tasks.generated.lexicon import VERSION as WORLD
from app.tasks.generated.lexicon import digest
from app.tasks.task import Example, Generated, Role, Split, Task, Template

VERSION = f"world {WORLD}, items 3"
"""Identity of every generated example: changes with the world or with the way items are made and split."""
TRAIN_ITEMS = 60
"""Train items of a task at most: few enough that a proportional mixture does not drown the tables of facts."""
TEST_ITEMS = 120
"""Test items of a task at most."""
_TRAIN_SHARE = 3  # one key in so many belongs to train
_TRIES = 1_200  # draws from which the items of a task without a table are taken

T = TypeVar("T")


class Pair(NamedTuple):
    """One question of a task and its answer, as text."""

    input: str
    target: str


Draw = Callable[[Random], Pair]
Options = Callable[[Pair, Random], Sequence[str]]


class Wording(NamedTuple):
    """What is said about a task, in the corpus and in instructions."""

    evaluation: str
    """The instruction of the evaluation: never in the corpus."""
    seen: str
    """Another instruction of the same task, which the corpus may use."""
    titles: tuple[str, ...]
    """Headings of a list of pairs."""
    sentences: tuple[str, ...]
    """Prose that states one pair, in the fields {x} and {y}."""


@dataclass(frozen=True)
class Procedure:
    """A task and how the pretraining corpus speaks of it."""

    task: Task
    draw: Draw
    """A pair from the whole input space, frequent entities first."""
    wording: Wording
    weight: int
    """How often the corpus takes it up: 1 for a table of facts, more for what takes longer to learn."""


def skewed(rng: Random, items: Sequence[T], skew: float = 1.2) -> T:
    """An item whose density falls with its rank: of 60 items the first is drawn about 20 times as often as the last."""
    return items[int(len(items) * rng.random() ** (1 + skew))]


def some_of(pool: Sequence[str], count: int = 4) -> Options:
    """Options: the answer and others of its own type, `count` in all."""

    def options(pair: Pair, rng: Random) -> list[str]:
        others = [word for word in pool if word != pair.target]
        return [pair.target, *rng.sample(others, min(count - 1, len(others)))]

    return options


def table(
    name: str,
    cluster: str,
    role: Role,
    facts: Mapping[str, str],
    wording: Wording,
    *,
    requires: tuple[str, ...],
    options: int = 4,
) -> Procedure:
    """A task that looks an entity up; distractors are other entities' answers."""
    pairs = [Pair(x, y) for x, y in facts.items()]
    pool = tuple(dict.fromkeys(facts.values()))
    return _procedure(
        name,
        cluster,
        role,
        draw=lambda rng: skewed(rng, pairs),
        space=lambda: pairs,
        options=some_of(pool, options),
        wording=wording,
        requires=requires,
        weight=1,
    )


def computed(
    name: str,
    cluster: str,
    role: Role,
    draw: Draw,
    options: Options,
    wording: Wording,
    *,
    requires: tuple[str, ...] = (),
    weight: int = 2,
) -> Procedure:
    """A task whose answer follows from its input; its items are different draws, in a fixed order."""

    def space() -> list[Pair]:
        rng = Random(digest("items", name))
        return list({pair.input: pair for pair in (draw(rng) for _ in range(_TRIES))}.values())

    return _procedure(
        name,
        cluster,
        role,
        draw=draw,
        space=space,
        options=options,
        wording=wording,
        requires=requires,
        weight=weight,
    )


def _procedure(
    name: str,
    cluster: str,
    role: Role,
    *,
    draw: Draw,
    space: Callable[[], list[Pair]],
    options: Options,
    wording: Wording,
    requires: tuple[str, ...],
    weight: int,
) -> Procedure:
    task = Task(
        name=name,
        cluster=cluster,
        role=role,
        source=Generated(partial(_make, name, space, options), VERSION),
        templates=(Template(wording.evaluation, "{input}"), Template(wording.seen, "{input}")),
        metric="exact_match",
        licence="Apache-2.0",
        requires=requires,
    )
    return Procedure(task, draw, wording, weight)


def _key(pair: Pair) -> str:
    """What two items share that say the same: the words of question and answer, in any order."""
    return " ".join(sorted({*pair.input.split(), *pair.target.split()}))


def _make(name: str, space: Callable[[], list[Pair]], options: Options, split: Split) -> list[Example]:
    pairs = space()
    keys = sorted({_key(pair) for pair in pairs}, key=lambda key: digest("split", name, key))
    train = set(keys[: len(keys) // _TRAIN_SHARE])
    chosen = [pair for pair in pairs if (_key(pair) in train) == (split == "train")]
    chosen.sort(key=lambda pair: digest("order", name, pair.input))
    return [_example(name, pair, options) for pair in chosen[: TRAIN_ITEMS if split == "train" else TEST_ITEMS]]


def _example(name: str, pair: Pair, options: Options) -> Example:
    rng = Random(digest("options", name, pair.input))
    shown = list(options(pair, rng))
    rng.shuffle(shown)
    return Example(pair.input, {"input": pair.input}, tuple(shown), pair.target)
