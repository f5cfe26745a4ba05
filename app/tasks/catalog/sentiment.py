"""Sentiment: is an opinion for or against its subject?"""

from app.tasks.rows import labelled
from app.tasks.task import Hub, Task, Template

SST2 = Task(
    name="sst2",
    cluster="sentiment_analysis",
    role="tune",
    source=Hub("stanfordnlp/sst2"),
    to_example=labelled("label", ("negative", "positive"), {"sentence": "sentence"}),
    templates=(
        Template(
            "Say what the reviewer thinks of the film. Give one of the options.",
            "Review: {sentence}\nOptions:\n{options}",
        ),
        Template("Classify the tone of this line from a film review as negative or positive.", "{sentence}"),
        Template("Judge whether the writer liked the film.", "{sentence}\nThe verdict is one of:\n{options}"),
    ),
    metric="accuracy",
    licence="not stated (Stanford Sentiment Treebank)",
    citation="https://aclanthology.org/D13-1170/",
)

TASKS = (SST2,)
