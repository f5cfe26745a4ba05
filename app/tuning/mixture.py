"""The mixture: which examples a tuning sees. Examples-proportional with a cap on the rate, as FLAN mixes.

A task is drawn in proportion to min(its examples, rate_cap), from a pool of at most `POOL_CAP` examples in a
seeded order; a pool that runs out starts again in another order. (FLAN: Wei et al. 2022, arXiv 2109.01652, section 2.)

For SampleGen a task's training examples are cut in two: items come from one half, worked examples from the other, so
that no item is its own worked example.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.errors import TaskError
from app.study import Format
from app.tasks import prompts
from app.tasks.prompts import BLANK, Demonstration
from app.tasks.task import Example, Task, TaskData, content

POOL_CAP = 30_000


class Drawn(NamedTuple):
    """One example of the mixture, the wording it gets, and the worked examples before it."""

    task: Task
    example: Example
    template: int
    shown: tuple[Demonstration, ...] = ()


def draw(
    tasks: Sequence[Task],
    data: Mapping[str, TaskData],
    count: int,
    rate_cap: int,
    seed: str,
    form: Format = "regular",
    worked: int = 0,
) -> list[Drawn]:
    """`count` examples from the training splits of `tasks`, each with `worked` worked examples where `form` has them.

    A function of its arguments alone. Raises TaskError for a task without training examples, or with too few for
    `worked` of them.
    """
    for task in tasks:
        if not data[task.name].train:
            raise TaskError(f"the task {task.name} has no training examples left: take it out of the mixture")
    rng = random.Random(seed)
    weights = [min(len(data[task.name].train), rate_cap) for task in tasks]
    wanted = Counter(rng.choices(range(len(tasks)), weights, k=count))
    halves = {task.name: _halves(task, data[task.name], seed, worked, form) for task in tasks}
    drawn: list[Drawn] = []
    for index, task in enumerate(tasks):
        train, places = data[task.name].train, halves[task.name][0]
        pool: list[int] = []
        # A generator of its own for each task: taking a task out leaves the others' order as it was.
        own = random.Random(f"{seed}/{task.name}")
        while len(pool) < wanted[index]:
            pool += own.sample(places, min(len(places), POOL_CAP))
        fitting = [n for n, template in enumerate(task.templates) if form == "regular" or not template.inverted]
        templates = own.choices(fitting, k=wanted[index])
        for place, template in zip(pool[: wanted[index]], templates, strict=True):
            shown = _shown(task, tasks, data, halves, own, form, worked)
            drawn.append(Drawn(task, train[place], template, shown))
    rng.shuffle(drawn)
    return drawn


def _halves(task: Task, data: TaskData, seed: str, worked: int, form: Format) -> tuple[Sequence[int], Sequence[int]]:
    """Places of a task's items, and of its worked examples; examples of equal content are in one half."""
    if form == "regular":
        return range(len(data.train)), ()
    contents = [content(task, example) for example in data.train]
    order = list(dict.fromkeys(contents))
    random.Random(f"{seed}/{task.name}/halves").shuffle(order)
    shown = set(order[: len(order) // 2])
    halves: tuple[list[int], list[int]] = ([], [])
    for place, one in enumerate(contents):
        halves[one in shown].append(place)
    if len(halves[1]) < worked:
        raise TaskError(
            f"the task {task.name} has {len(order)} different training examples, too few for {worked} worked examples "
            f"from one half of them: take it out of the mixture or lower pipelines.examples"
        )
    return halves


def _shown(
    task: Task,
    tasks: Sequence[Task],
    data: Mapping[str, TaskData],
    halves: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    rng: random.Random,
    form: Format,
    worked: int,
) -> tuple[Demonstration, ...]:
    """The worked examples of one item."""
    if form == "regular":
        return ()
    source = task
    if form == "samplegen-relevance":
        others = [other for other in tasks if other.cluster != task.cluster]
        if not others:
            raise TaskError(f"samplegen-relevance needs tasks of two clusters, but all are of {task.cluster}")
        source = rng.choice(others)
    chosen = [data[source.name].train[place] for place in rng.sample(halves[source.name][1], worked)]
    wording = "unified" if form == "samplegen-unified" else "standard"
    shown = [prompts.demonstration(source, example, wording) for example in chosen]
    if form == "samplegen-corrupted":
        shown = [one._replace(input=BLANK, answer=BLANK) for one in shown]
    elif form == "samplegen-no-answer":
        shown = [one._replace(answer="") for one in shown]
    return tuple(shown)
