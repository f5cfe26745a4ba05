"""Data put into words: a sentence from concepts, from triples, or from a restaurant's attributes."""

from typing import cast

from app.errors import TaskError
from app.tasks.rows import answered, part, text, texts
from app.tasks.task import Hub, MetricName, Parsed, Row, Task, Template

_METRICS: tuple[MetricName, ...] = ("rouge1", "rouge2", "bleu")
_CONVERTED = "refs/convert/parquet"


def _lists(row: Row, column: str) -> list[list[object]]:
    """A column that holds a list of lists."""
    value = row[column]
    if not isinstance(value, list) or not all(isinstance(item, list) for item in cast(list[object], value)):
        raise TaskError(f"column {column} holds {value!r}, not a list of lists")
    return cast(list[list[object]], value)


def _plain(value: object) -> str:
    """A name in the data as running text: DBpedia writes Alan_Bean."""
    return " ".join(str(value).replace("_", " ").split())


def _common_gen(row: Row) -> Parsed | None:
    # The test split of the hub has neither concepts nor sentences.
    return answered({"concepts": ", ".join(texts(row, "concepts"))}, [text(row, "target")])


def _dart(row: Row) -> Parsed | None:
    triples = (" | ".join(map(_plain, triple)) for triple in _lists(row, "tripleset"))
    return answered({"facts": "; ".join(triples)}, texts(part(row, "annotations"), "text"))


def _web_nlg(row: Row) -> Parsed | None:
    variants = _lists(part(row, "original_triple_sets"), "otriple_set")
    if not variants:
        raise TaskError("column original_triple_sets holds no set of triples")
    written = part(row, "lex")
    judged = zip(texts(written, "text"), texts(written, "comment"), strict=True)
    # Its annotators marked some of the sentences as bad.
    return answered(
        {"facts": "; ".join(map(_plain, variants[0]))}, [sentence for sentence, comment in judged if comment != "bad"]
    )


def _e2e_nlg(row: Row) -> Parsed | None:
    return answered({"attributes": text(row, "meaning_representation")}, [text(row, "human_reference")])


_TRIPLES = (
    Template(
        "Put all the facts into one short, fluent text.",
        "Facts (subject | relation | object): {facts}\nSay all of this in a short text.",
    ),
    Template("Write a text that says exactly what these triples say.", "{facts}"),
    Template("Turn the table entries into a sentence.", "Entries: {facts}"),
    Template("Verbalise this part of a knowledge graph.", "Graph: {facts}"),
    Template("What do these facts say, in plain English?", "{facts}\nWhat does that mean in plain English?"),
    Template("Describe the data without adding anything to it.", "Data to describe: {facts}"),
    Template("A reader cannot read triples. Tell the reader what they state.", "The triples are: {facts}"),
    Template("Compose a sentence or two that cover every relation listed.", "Relations:\n{facts}"),
    Template("List the facts that the text states, as triples.", "{target}", "{facts}"),
    Template("Take the text apart into subject | relation | object.", "Text: {target}", "{facts}"),
)

_CONCEPTS = (
    Template(
        "Write one everyday sentence that uses all the concepts.",
        "Concepts: {concepts}\nWrite a sentence with all of them.",
    ),
    Template("Form a sentence with these words.", "{concepts}"),
    Template("Think of a scene in which all of these occur, and describe it in a sentence.", "Scene with: {concepts}"),
    Template("The words below belong together. Say how, in one sentence.", "Words: {concepts}"),
    Template("Make up a short, believable sentence around the keywords.", "Keywords: {concepts}"),
    Template("Use every one of the words once, in any form and order.", "To be used: {concepts}"),
    Template("What could be going on here? Answer with one sentence.", "There is something with {concepts}."),
    Template("Link the concepts into a sentence that makes sense.", "Link these: {concepts}"),
    Template("Name the concepts from which the sentence was made.", "{target}", "{concepts}"),
    Template("Which key words does this sentence hold? Separate them by commas.", "Sentence: {target}", "{concepts}"),
)

_ATTRIBUTES = (
    Template(
        "Describe the place in words, with all its attributes and no others.",
        "Attributes: {attributes}\nDescribe this place.",
    ),
    Template("Write a line about this restaurant for a guide.", "{attributes}"),
    Template("Put the attributes into a natural sentence.", "Data: {attributes}"),
    Template("Tell a guest what is known about the place.", "What is known: {attributes}"),
    Template("Turn the form into running text.", "Form:\n{attributes}"),
    Template("How would you recommend this place, given only these details?", "Details: {attributes}"),
    Template("Each bracket holds a value. Write a text that mentions every value.", "Brackets: {attributes}"),
    Template("Say in English what the entry of the database says.", "Entry: {attributes}"),
    Template("Fill in the form from the description, as attribute[value].", "{target}", "{attributes}"),
    Template("Which attributes of the place does this text give?", "Text: {target}", "{attributes}"),
)

COMMON_GEN = Task(
    name="common_gen",
    cluster="struct_to_text",
    role="tune",
    source=Hub("allenai/common_gen"),
    to_example=_common_gen,
    templates=_CONCEPTS,
    metric="rougeLsum",
    also=_METRICS,
    licence="MIT",
    citation="https://aclanthology.org/2020.findings-emnlp.165/",
    tokens=12,
    answer_tokens=14,
)
E2E_NLG = Task(
    name="e2e_nlg",
    cluster="struct_to_text",
    role="tune",
    source=Hub("tuetschek/e2e_nlg", test="test", revision=_CONVERTED),
    to_example=_e2e_nlg,
    templates=_ATTRIBUTES,
    metric="rougeLsum",
    also=_METRICS,
    licence="CC BY-SA 4.0",
    citation="https://aclanthology.org/W17-5525/",
    tokens=45,
    answer_tokens=28,
)
WEB_NLG = Task(
    name="web_nlg",
    cluster="struct_to_text",
    role="tune",
    source=Hub("webnlg-challenge/web_nlg", "release_v1", train="full", test="full", revision=_CONVERTED),
    to_example=_web_nlg,
    templates=_TRIPLES,
    metric="rougeLsum",
    also=_METRICS,
    licence="CC BY-NC-SA 4.0 (DBpedia's triples: CC BY-SA 3.0)",
    citation="https://aclanthology.org/P17-1017/",
    tokens=60,
    answer_tokens=35,
)
DART = Task(
    name="dart",
    cluster="struct_to_text",
    role="evaluate",
    source=Hub("Yale-LILY/dart", test="test", revision=_CONVERTED),
    to_example=_dart,
    templates=_TRIPLES,
    metric="rougeLsum",
    also=_METRICS,
    licence="MIT",
    citation="https://aclanthology.org/2021.naacl-main.37/",
    tokens=45,
    answer_tokens=30,
)

TASKS = (COMMON_GEN, DART, E2E_NLG, WEB_NLG)
