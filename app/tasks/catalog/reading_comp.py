"""Reading comprehension, in FLAN's sense; OpenBookQA is asked here without its book."""

from collections.abc import Mapping
from typing import cast

from app.errors import TaskError
from app.tasks.rows import text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template


def _lettered(row: Row) -> Parsed | None:
    choices = row["choices"]
    if not isinstance(choices, Mapping):
        raise TaskError(f"column choices holds {choices!r}, not texts with their letters")
    parts = cast(Row, choices)
    options, letters = texts(parts, "text"), texts(parts, "label")
    gold = text(row, "answerKey")
    if not gold:
        return None
    if gold not in letters:
        raise TaskError(f"column answerKey holds {gold!r}, which is none of the letters {', '.join(letters)}")
    # Upstream repeats an option in a few rows: shown once, it is one option.
    return Parsed({"question": text(row, "question_stem")}, tuple(dict.fromkeys(options)), options[letters.index(gold)])


OPENBOOKQA = Task(
    name="openbookqa",
    cluster="reading_comprehension",
    role="tune",
    source=Hub("allenai/openbookqa", "main", test="test"),
    to_example=_lettered,
    templates=(
        Template(
            "Answer the question, or complete the sentence, with one of the options.",
            "{question}\nOptions:\n{options}",
        ),
        Template(
            "Use what you know of elementary science to pick the fitting continuation.",
            "{question}\nContinue with one of:\n{options}",
        ),
        Template("Solve this question from a science quiz.", "{question}\n{options}"),
    ),
    metric="accuracy",
    licence="not stated (repository Apache-2.0)",
    citation="https://aclanthology.org/D18-1260/",
)

TASKS = (OPENBOOKQA,)
