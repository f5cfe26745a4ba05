"""A planned task as the catalogue's constant, with the source that the study gives it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from app.plan import TaskFacts
from app.study import Source
from app.tasks import catalog
from app.tasks.task import Hub, Manual, Task


def task_of(facts: TaskFacts) -> Task:
    """The task to load and to word. Raises TaskError for a name that the catalogue lacks."""
    task = catalog.by_name(facts.name)
    source = cast(Mapping[str, str], facts.inputs["source"])
    if "hub" not in source:
        return task
    return replace(
        task, source=Hub(source["hub"], source["config"], source["train"], source["test"], source["revision"])
    )


def with_source(task: Task, source: Source) -> Task:
    """`task` read from another place of the same shape."""
    return replace(task, source=Hub(source.id, source.config, source.train, source.test, source.revision))


def described(task: Task) -> dict[str, object]:
    """A task's source, as it stands in fingerprints and records."""
    if isinstance(task.source, Hub):
        hub = task.source
        return {
            "hub": hub.id,
            "config": hub.config,
            "train": hub.train,
            "test": hub.test,
            "revision": hub.revision,
        }
    if isinstance(task.source, Manual):
        return {"manual": task.source.file, "test": task.source.test}
    return {"generated": task.source.version}
