"""Common sense: what would plausibly happen, or have happened?"""

from app.errors import TaskError
from app.tasks.rows import label, text
from app.tasks.task import Hub, Parsed, Row, Task, Template

_ASKED = {"cause": "What was the cause?", "effect": "What happened as a result?"}


def _copa(row: Row) -> Parsed | None:
    options = (text(row, "choice1"), text(row, "choice2"))
    gold = label(row, "label", len(options))
    kind = text(row, "question")
    if kind not in _ASKED:
        raise TaskError(f"column question holds {kind!r}, neither cause nor effect")
    fields = {"premise": text(row, "premise"), "asked": _ASKED[kind]}
    return None if gold is None else Parsed(fields, options, options[gold])


COPA = Task(
    name="copa",
    cluster="commonsense",
    role="tune",
    source=Hub("aps/super_glue", "copa", revision="refs/convert/parquet"),
    to_example=_copa,
    templates=(
        Template(
            "Choose the more plausible answer to the question about the event.",
            "{premise} {asked}\nOptions:\n{options}",
        ),
        Template(
            "One of the sentences in the list belongs to the event. Copy that sentence.",
            "Event: {premise}\n{asked}\n{options}",
        ),
    ),
    metric="accuracy",
    licence="BSD-2-Clause",
    citation="https://people.ict.usc.edu/~gordon/copa.html",
)

TASKS = (COPA,)
