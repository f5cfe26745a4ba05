"""Natural language inference: does one text follow from another?"""

from app.tasks.rows import labelled
from app.tasks.task import Hub, Task, Template

_WORDINGS = (
    Template(
        "Read the text and decide whether the statement follows from it. Give one of the options.",
        "Text: {premise}\nStatement: {hypothesis}\nOptions:\n{options}",
    ),
    Template(
        "Decide whether somebody who believes the first text must also believe the second.",
        "{premise}\nMust this be true as well? {hypothesis}\nOptions:\n{options}",
    ),
    Template(
        "Say whether the claim is backed by the evidence.",
        "Evidence: {premise}\nClaim: {hypothesis}",
    ),
)

RTE = Task(
    name="rte",
    cluster="natural_language_inference",
    role="tune",
    source=Hub("nyu-mll/glue", "rte"),
    to_example=labelled("label", ("yes", "no"), {"premise": "sentence1", "hypothesis": "sentence2"}),
    templates=_WORDINGS,
    metric="accuracy",
    licence="not stated (PASCAL RTE challenges)",
    citation="https://arxiv.org/abs/1804.07461",
)

CB = Task(
    name="cb",
    cluster="natural_language_inference",
    role="tune",
    source=Hub("aps/super_glue", "cb", revision="refs/convert/parquet"),
    # The hub numbers entailment, contradiction, neutral; most other inference sets have neutral in the middle.
    to_example=labelled("label", ("yes", "no", "maybe"), {"premise": "premise", "hypothesis": "hypothesis"}),
    templates=_WORDINGS,
    metric="accuracy",
    licence="not stated (CommitmentBank)",
    citation="https://github.com/mcdm/CommitmentBank",
)

TASKS = (RTE, CB)
