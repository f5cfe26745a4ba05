"""Reading comprehension that needs common sense: the text alone does not state the answer.

FLAN holds these tasks out together with both of their neighbours, reading comprehension and common sense.
"""

from app.tasks.rows import label, text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template

_KIN = ("reading_comprehension", "commonsense")
_GAP = "_____"


def _cosmos(row: Row) -> Parsed | None:
    options = tuple(text(row, f"answer{number}") for number in range(4))
    gold = label(row, "label", len(options))
    fields = {"context": text(row, "context"), "question": text(row, "question")}
    # Shown once, an option that upstream repeats is one option.
    return None if gold is None else Parsed(fields, tuple(dict.fromkeys(options)), options[gold])


def _record(row: Row) -> Parsed | None:
    # Upstream begins each line of a passage's summary with the mark @highlight.
    passage = " ".join(text(row, "passage").replace("@highlight", " - ").split())
    fields = {"passage": passage, "query": text(row, "query").replace("@placeholder", _GAP)}
    answers = tuple(dict.fromkeys(texts(row, "answers")))
    # Every mention of the right entity counts, so all of them have to be among the options.
    options = tuple(dict.fromkeys((*texts(row, "entities"), *answers)))
    return Parsed(fields, options, answers[0], answers[1:]) if answers else None


COSMOS_QA = Task(
    name="cosmos_qa",
    cluster="reading_comprehension_with_commonsense",
    role="tune",
    source=Hub("allenai/cosmos_qa", revision="refs/convert/parquet"),
    to_example=_cosmos,
    templates=(
        Template(
            "Read the story and choose the most plausible answer to the question. Give one of the options.",
            "Story: {context}\nAsked: {question}\nOptions:\n{options}",
        ),
        Template(
            "The text does not say it outright. Use common sense to reply.",
            "{context}\n{question}",
        ),
        Template(
            "Read between the lines of this diary entry and pick what fits best.",
            "Diary: {context}\n{question}\nChoose from:\n{options}",
        ),
        Template("Which option is the likeliest?", "{question}\n{options}\nThis is about the following: {context}"),
        Template(
            "Somebody tells you what happened to them. What do you conclude?",
            'They say: "{context}"\nConclude: {question}\nPossible conclusions:\n{options}',
        ),
        Template("Answer with what most people would assume.", "Q: {question}\nBackground: {context}"),
        Template(
            "Think about why people act as they do, and about what comes next.",
            "What happened: {context}\nOptions:\n{options}\nThe point to settle: {question}",
        ),
        Template("Copy the reply that goes best with the text.", "Text: {context}\n{question}\nReplies:\n{options}"),
        Template(
            "Explain in one sentence what the story leaves unsaid.",
            "Story: {context}\nTo explain: {question}",
        ),
        Template(
            "Write a question about the story to which this is the most plausible answer.",
            "Story: {context}\nPlausible: {target}",
            "{question}",
        ),
        Template(
            "Tell a short story in which the reply to the question is the given one.",
            "Asked: {question}\nReply: {target}",
            "{context}",
        ),
    ),
    metric="accuracy",
    licence="CC BY 4.0",
    citation="https://aclanthology.org/D19-1243/",
    kin=_KIN,
    tokens=160,
    answer_tokens=12,
)

RECORD = Task(
    name="record",
    cluster="reading_comprehension_with_commonsense",
    role="evaluate",
    source=Hub("aps/super_glue", "record", revision="refs/convert/parquet"),
    to_example=_record,
    templates=(
        Template(
            "Read the passage and fill the gap in the sentence below it with one of the options.",
            "Passage: {passage}\nSentence: {query}\nOptions:\n{options}",
        ),
        Template("Whom or what does the gap stand for?", "{passage}\nFill in: {query}"),
        Template(
            "A word is missing from the last line of this news story. Supply it from the list.",
            "News: {passage}\nLast line: {query}\nList:\n{options}",
        ),
        Template(
            "Choose the name that makes the sentence true.",
            "Sentence: {query}\nIt follows this article: {passage}\nNames:\n{options}",
        ),
        Template("Name the person, place or thing that was blotted out.", "{passage} {query}"),
        Template(
            "The article mentions several names. Which one belongs in the blank?",
            "Names:\n{options}\nArticle: {passage}\nBlank: {query}",
        ),
        Template("Complete the statement with a name from the text.", "Statement: {query}\nText: {passage}"),
        Template(
            "Use the report and your common sense to find the missing name.",
            "Report: {passage}\nWith a name missing: {query}\nIt is one of:\n{options}",
        ),
        Template("What should stand in place of the line?", "Before: {passage}\nAfter: {query}\n{options}"),
        Template(
            "Continue the news story with a sentence in which the given name is replaced by a gap.",
            "News: {passage}\nName to replace: {target}",
            "{query}",
        ),
    ),
    metric="accuracy",
    also=("squad_em", "squad_f1"),
    licence="not stated (ReCoRD)",
    citation="https://arxiv.org/abs/1810.12885",
    kin=_KIN,
    tokens=350,
    answer_tokens=3,
)

TASKS = (COSMOS_QA, RECORD)
