"""A benchmark in another language than its own, for what a tuned model cannot have met in its mixture.

The file is made from what its authors publish by

    rows = datasets.load_from_disk("data/translated_socialiqa/closed-translated/social_iqa/test_data/2500")
    rows = rows.rename_columns({"multiple_choice_targets": "options", "labels": "answer"})
    rows.select_columns(["text", "options", "answer"]).to_json("social_iqa_gd.jsonl")
"""

from app.errors import TaskError
from app.tasks.rows import text, texts
from app.tasks.task import Manual, Parsed, Row, Task, Template


def _gaelic(row: Row) -> Parsed | None:
    asked = row["text"]
    if not isinstance(asked, str):
        raise TaskError(f"column text holds {asked!r}, not text")
    # The published text repeats the options below its first line.
    question = " ".join(asked.strip().partition("\n")[0].split())
    shown = [option.removesuffix(".") for option in texts(row, "options")]
    answer = text(row, "answer").removesuffix(".")
    # Two options may have become one in translation; with a single one left there is nothing to choose.
    options = tuple(dict.fromkeys(shown))
    return Parsed({"question": question}, options, answer) if answer and len(options) > 1 else None


SOCIAL_IQA_TRANSLATED = Task(
    name="social_iqa_translated",
    cluster="translated",
    role="evaluate",
    source=Manual(
        "translated/social_iqa_gd.jsonl",
        how="Get the folder data/translated_socialiqa of github.com/UKPLab/arxiv2025-inherent-limits-plms and write "
        "its rows as one JSON object a line, with the keys text (a situation and a question in Scottish Gaelic), "
        "options (a list of texts) and answer (one of them).",
    ),
    to_example=_gaelic,
    templates=(
        Template(
            "Read the situation in Scottish Gaelic and answer the question about it.", "{question}\nOptions:\n{options}"
        ),
        Template("Which of the answers fits the situation?", "Situation: {question}\nAnswers:\n{options}"),
        Template("The text is in Scottish Gaelic. Choose what is most likely.", "{question}\n{options}"),
        Template("Pick the reply that a sensible person would give.", "{question}\nReplies:\n{options}"),
        Template("Answer in Scottish Gaelic.", "In Gaelic: {question}\nOne of:\n{options}"),
        Template("What follows from the situation? Copy one line.", "{options}\nThe situation: {question}"),
        Template("Use what you know of people to answer.", "A question about people: {question}\n{options}"),
        Template("How would you answer this?", "{question}"),
        Template("Decide what the person feels, wants or does.", "{question}\nPossible:\n{options}"),
        Template(
            "Describe in Scottish Gaelic a situation, with a question, to which this is the reply.",
            "Reply: {target}",
            "{question}",
        ),
    ),
    metric="accuracy",
    licence="Apache-2.0",
    citation="https://arxiv.org/abs/2501.08716",
    kin=("bigbench",),
    tokens=120,
    answer_tokens=12,
)

TASKS = (SOCIAL_IQA_TRANSLATED,)
