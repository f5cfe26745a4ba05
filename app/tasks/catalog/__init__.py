"""Every task, as a tuple of constants, and how a study selects among them.

A new task on real data is one constant in the file of its cluster (a new file for a new cluster), in its `TASKS`:

    BOOLQ = Task(
        name="boolq", cluster="reading_comprehension", role="tune", metric="accuracy", licence="CC BY-SA 3.0",
        source=Hub("google/boolq"),
        to_example=labelled("label", ("no", "yes"), {"passage": "passage", "question": "question"}),
        templates=(Template("Answer from the passage.", "{passage} {question}"),),
    )
"""

import difflib
from collections.abc import Sequence

from app.errors import TaskError
from app.tasks import generated
from app.tasks.catalog import (
    arithmetic,
    bigbench,
    commonsense,
    coreference,
    misc,
    nli,
    paraphrase,
    reading_comp,
    sentiment,
)
from app.tasks.task import Generated, Task

REAL: tuple[Task, ...] = (
    nli.TASKS
    + coreference.TASKS
    + sentiment.TASKS
    + paraphrase.TASKS
    + commonsense.TASKS
    + reading_comp.TASKS
    + misc.TASKS
    + arithmetic.TASKS
    + bigbench.TASKS
)
"""Tasks on public data sets; their roles are those of the study that this project reproduces."""
TASKS: tuple[Task, ...] = generated.TASKS + REAL

_SETS = ("tune", "develop", "evaluate")


def by_name(name: str) -> Task:
    """The task of that name. Raises TaskError with the nearest names."""
    for task in TASKS:
        if task.name == name:
            return task
    raise TaskError(f"unknown task {name!r}{_nearest(name)}")


def select(selectors: Sequence[str]) -> tuple[Task, ...]:
    """The selected tasks in the order of `TASKS`, each once; selectors apply from left to right.

    A selector is a task's name, set:tune | set:develop | set:evaluate, or cluster:NAME; a leading minus takes away
    again. A set holds the generated tasks of that role only: it is the embedded study, and a real task never slips in.
    A cluster is of one kind: generated ones have short names (nli), real ones full names (natural_language_inference).
    Raises TaskError for an unknown selector, with the nearest known one, and where nothing is left.
    """
    chosen: set[str] = set()
    for selector in selectors:
        names = {task.name for task in _matching(selector.removeprefix("-"))}
        chosen = chosen - names if selector.startswith("-") else chosen | names
    if selectors and not chosen:
        raise TaskError(f"the selection {', '.join(selectors)} leaves no task: name one, or a set or cluster")
    return tuple(task for task in TASKS if task.name in chosen)


def _matching(selector: str) -> tuple[Task, ...]:
    kind, colon, name = selector.partition(":")
    if not colon:
        return (by_name(selector),)
    if kind == "set" and name in _SETS:
        return tuple(task for task in TASKS if task.role == name and isinstance(task.source, Generated))
    if kind == "cluster":
        members = tuple(task for task in TASKS if task.cluster == name)
        if members:
            return members
    raise TaskError(f"unknown selector {selector!r}{_nearest(selector)}")


def _nearest(text: str) -> str:
    known = [task.name for task in TASKS]
    known += [f"set:{name}" for name in _SETS]
    known += sorted({f"cluster:{task.cluster}" for task in TASKS})
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(known)}"
