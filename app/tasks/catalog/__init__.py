"""Every task, as a tuple of constants; `selection` says how a study chooses among them.

A new task on real data is one constant in the file of its cluster (a new file for a new cluster), in its `TASKS`:

    BOOLQ = Task(
        name="boolq", cluster="reading_comprehension", role="tune", metric="accuracy", licence="CC BY-SA 3.0",
        source=Hub("google/boolq"),
        to_example=labelled("label", ("no", "yes"), {"passage": "passage", "question": "question"}),
        templates=(Template("Answer from the passage.", "{passage} {question}"),),
    )
"""

from collections.abc import Sequence

from app.tasks import generated
from app.tasks.catalog import (
    arithmetic,
    bigbench,
    closed_book_qa,
    commonsense,
    coreference,
    misc,
    nli,
    paraphrase,
    reading_comp,
    reading_comp_with_cs,
    selection,
    sentiment,
    struct_to_text,
    summarization,
    translated,
    translation,
)
from app.tasks.task import Task

REAL: tuple[Task, ...] = (
    nli.TASKS
    + commonsense.TASKS
    + sentiment.TASKS
    + paraphrase.TASKS
    + closed_book_qa.TASKS
    + reading_comp.TASKS
    + reading_comp_with_cs.TASKS
    + coreference.TASKS
    + misc.TASKS
    + struct_to_text.TASKS
    + translation.TASKS
    + summarization.TASKS
    + bigbench.TASKS
    + arithmetic.TASKS
    + translated.TASKS
)
"""Tasks on public data sets; their roles are those of the study that this project reproduces."""
TASKS: tuple[Task, ...] = generated.TASKS + REAL


def by_name(name: str) -> Task:
    """The task of that name. Raises TaskError with the nearest names."""
    return selection.named(TASKS, name)


def select(selectors: Sequence[str]) -> tuple[Task, ...]:
    """The selected tasks in the order of `TASKS`, each once; see `selection` for what a selector may be.

    Raises TaskError for an unknown selector, with the nearest known one, and where nothing is left.
    """
    return selection.select(TASKS, selectors)
