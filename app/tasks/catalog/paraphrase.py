"""Paraphrase: do two sentences say the same?"""

from app.tasks.rows import labelled
from app.tasks.task import Hub, Task, Template

MRPC = Task(
    name="mrpc",
    cluster="paraphrase",
    role="tune",
    source=Hub("nyu-mll/glue", "mrpc"),
    to_example=labelled("label", ("no", "yes"), {"first": "sentence1", "second": "sentence2"}),
    templates=(
        Template(
            "Decide whether the two sentences say the same thing. Give one of the options.",
            "First: {first}\nSecond: {second}\nOptions:\n{options}",
        ),
        Template(
            "Two newspapers report an event. Say whether their sentences could replace each other.",
            "{first}\n{second}",
        ),
        Template(
            "Compare the meaning of both sentences.",
            "{first}\nDoes this mean the same as the following?\n{second}\nOptions:\n{options}",
        ),
    ),
    metric="accuracy",
    licence="Microsoft research licence",
    citation="https://aclanthology.org/I05-5002/",
)

TASKS = (MRPC,)
