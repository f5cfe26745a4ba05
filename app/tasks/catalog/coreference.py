"""Coreference: whom or what does a pronoun mean? WNLI is Winograd schemas in the clothes of inference."""

from app.tasks.rows import labelled
from app.tasks.task import Hub, Task, Template

WNLI = Task(
    name="wnli",
    # Not with inference: its schemas recur in every Winograd-like set, so they are held out together.
    cluster="coreference_resolution",
    role="tune",
    source=Hub("nyu-mll/glue", "wnli"),
    to_example=labelled("label", ("no", "yes"), {"text": "sentence1", "reading": "sentence2"}),
    templates=(
        Template(
            "Work out what each pronoun in the text means and decide whether the reading is right. "
            "Give one of the options.",
            "Text: {text}\nReading: {reading}\nOptions:\n{options}",
        ),
        Template(
            "Somebody has restated part of a text without its pronoun. Say whether that is what the text means.",
            "{text}\nRestated: {reading}",
        ),
    ),
    metric="accuracy",
    licence="CC BY 4.0 (Winograd schemas)",
    citation="https://cs.nyu.edu/~davise/papers/WinogradSchemas/WS.html",
)

TASKS = (WNLI,)
