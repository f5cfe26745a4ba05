"""How a study names tasks: selectors, which apply from left to right.

    NAME                             a task
    set:tune|develop|evaluate        the generated tasks of that role: the embedded study, no real task slips in
    paper:tune|evaluate              the real tasks that the reproduced study tunes on by default, or holds out
    cluster:NAME                     a cluster; generated ones have short names (nli), real ones full names
    kin:CLUSTER                      a cluster, and all that must be held out with it
    setup:NAME                       an ablation mixture of `ablations`, of real tasks

A leading minus takes away again.
"""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from app.errors import TaskError
from app.tasks.catalog.ablations import SETUPS
from app.tasks.task import Generated, Task


class Related(NamedTuple):
    """Two clusters that are held out together, in either direction."""

    first: str
    second: str
    reason: str


RELATED = (
    Related(
        "natural_language_inference",
        "paraphrase",
        "a paraphrase is entailment in both directions; FLAN holds the two out together",
    ),
    Related(
        "reading_comprehension_with_commonsense",
        "reading_comprehension",
        "both ask questions about a passage; FLAN holds the two out together",
    ),
    Related(
        "reading_comprehension_with_commonsense",
        "commonsense",
        "both ask for what everybody knows and no text says; FLAN holds the two out together",
    ),
)
"""Clusters so near to each other that tuning on one prepares for the other (FLAN: arXiv 2109.01652)."""

_SETS = ("tune", "develop", "evaluate")
_PAPER = ("tune", "evaluate")


def named(tasks: Sequence[Task], name: str) -> Task:
    """The task of that name. Raises TaskError with the nearest selectors."""
    for task in tasks:
        if task.name == name:
            return task
    raise TaskError(f"unknown task {name!r}{_nearest(tasks, name)}")


def select(tasks: Sequence[Task], selectors: Sequence[str]) -> tuple[Task, ...]:
    """The selected ones of `tasks`, in their order, each once.

    Raises TaskError for an unknown selector, with the nearest known one, and where nothing is left.
    """
    names = _names(tasks, selectors)
    if selectors and not names:
        raise TaskError(f"the selection {', '.join(selectors)} leaves no task: name one, or a set or cluster")
    return tuple(task for task in tasks if task.name in names)


def related(cluster: str) -> frozenset[str]:
    """The clusters that RELATED pairs with this one."""
    pairs = {(pair.first, pair.second) for pair in RELATED} | {(pair.second, pair.first) for pair in RELATED}
    return frozenset(second for first, second in pairs if first == cluster)


def _names(tasks: Sequence[Task], selectors: Sequence[str]) -> set[str]:
    chosen: set[str] = set()
    for selector in selectors:
        names = _matching(tasks, selector.removeprefix("-"))
        chosen = chosen - names if selector.startswith("-") else chosen | names
    return chosen


def _matching(tasks: Sequence[Task], selector: str) -> set[str]:
    kind, colon, name = selector.partition(":")
    if not colon:
        return {named(tasks, selector).name}
    clusters = {task.cluster for task in tasks}
    if kind == "set" and name in _SETS:
        return {task.name for task in tasks if task.role == name and isinstance(task.source, Generated)}
    if kind == "paper" and name in _PAPER:
        return {task.name for task in tasks if task.role == name and not isinstance(task.source, Generated)}
    if kind == "cluster" and name in clusters:
        return {task.name for task in tasks if task.cluster == name}
    if kind == "kin" and name in clusters:
        near = {name, *related(name)}
        return {task.name for task in tasks if task.cluster in near or name in task.kin}
    if kind == "setup" and name in SETUPS:
        return _names([task for task in tasks if not isinstance(task.source, Generated)], SETUPS[name])
    raise TaskError(f"unknown selector {selector!r}{_nearest(tasks, selector)}")


def _nearest(tasks: Sequence[Task], text: str) -> str:
    clusters = sorted({task.cluster for task in tasks})
    known = [task.name for task in tasks]
    known += [f"set:{name}" for name in _SETS]
    known += [f"paper:{name}" for name in _PAPER]
    known += [f"setup:{name}" for name in SETUPS]
    known += [f"{kind}:{name}" for kind in ("cluster", "kin") for name in clusters]
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(known)}"
