"""Tasks that belong to none of the other clusters; the first study held all of them out."""

from app.tasks.rows import labelled
from app.tasks.task import Hub, Task, Template

TREC = Task(
    name="trec",
    cluster="misc",
    role="evaluate",
    source=Hub("CogComp/trec", test="test", revision="refs/convert/parquet"),
    # ABBR, ENTY, DESC, HUM, LOC, NUM: the hub's order since 2022.
    to_example=labelled(
        "coarse_label",
        ("abbreviation", "entity", "description", "person", "location", "number"),
        {"question": "text"},
    ),
    templates=(
        Template(
            "Say what kind of answer the question asks for. Give one of the options.",
            "{question}\nWhat kind of answer does this ask for?\nOptions:\n{options}",
        ),
        Template("Do not answer the question; name the type of its answer.", "{question}\nTypes:\n{options}"),
    ),
    metric="accuracy",
    licence="not stated (TREC question classification)",
    citation="https://aclanthology.org/C02-1150/",
)

TASKS = (TREC,)
