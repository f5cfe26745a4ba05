"""The mixture: which examples a tuning sees. Examples-proportional with a cap on the rate, as FLAN mixes.

A task is drawn in proportion to min(its examples, rate_cap), from a pool of at most `POOL_CAP` examples in a
seeded order; a pool that runs out starts again in another order. (FLAN: Wei et al. 2022, arXiv 2109.01652, section 2.)
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.errors import TaskError
from app.tasks.task import Example, Task, TaskData

POOL_CAP = 30_000


class Drawn(NamedTuple):
    """One example of the mixture and the wording it gets."""

    task: Task
    example: Example
    template: int


def draw(tasks: Sequence[Task], data: Mapping[str, TaskData], count: int, rate_cap: int, seed: str) -> list[Drawn]:
    """`count` examples from the training splits of `tasks`, a function of its arguments alone.

    Raises TaskError for a task without training examples.
    """
    for task in tasks:
        if not data[task.name].train:
            raise TaskError(f"the task {task.name} has no training examples left: take it out of the mixture")
    rng = random.Random(seed)
    weights = [min(len(data[task.name].train), rate_cap) for task in tasks]
    wanted = Counter(rng.choices(range(len(tasks)), weights, k=count))
    drawn: list[Drawn] = []
    for index, task in enumerate(tasks):
        train = data[task.name].train
        pool: list[int] = []
        # A generator of its own for each task: taking a task out leaves the others' order as it was.
        own = random.Random(f"{seed}/{task.name}")
        while len(pool) < wanted[index]:
            pool += own.sample(range(len(train)), min(len(train), POOL_CAP))
        templates = own.choices(range(len(task.templates)), k=wanted[index])
        drawn += [Drawn(task, train[i], t) for i, t in zip(pool, templates, strict=False)]
    rng.shuffle(drawn)
    return drawn
