"""The table of requests: one row for each item of a task under one condition, rendered once for all models.

Requests lie in the store, so that both sides of a pair provably see the same items, and a reader can look a
prompt up by its hash. Only what a SampleGen model wrote differs from model to model: those requests have a file for
each run.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import CellError, StoreError, TaskError
from app.identity import fingerprint, text_hash
from app.plan import EvaluateCell
from app.store import Store
from app.study import ConditionName, WordingName
from app.tasks import metrics, prompts, wordings
from app.tasks.planned import task_of
from app.tasks.prompts import Demonstration
from app.tasks.task import Example, MetricName, Task, TaskData
from app.tasks.wordings import Worded

SCHEMA = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("context", pa.string(), nullable=False),
        pa.field("question", pa.string(), nullable=False),  # the item's text alone
        pa.field("options", pa.list_(pa.string()), nullable=False),
        pa.field("meant", pa.list_(pa.string()), nullable=False),  # the task's own options, where these are letters
        pa.field("target", pa.string(), nullable=False),
        pa.field("references", pa.list_(pa.string()), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field(
            "demonstrations",  # in the order shown
            pa.list_(pa.struct([("source", pa.string()), ("input", pa.string()), ("answer", pa.string())])),
            nullable=False,
        ),
        pa.field("prompt_hash", pa.string(), nullable=False),
    ]
)
_ROWS = 2_048  # of a row group: what an actor holds at once

Pool = Sequence[tuple[Task, TaskData]]


class Request(NamedTuple):
    """One row: a prompt, and what answers it."""

    item: str
    context: str
    question: str
    options: tuple[str, ...]
    meant: tuple[str, ...]
    """The task's own options, in the same order: what `options` stand for where a wording shows letters."""
    target: str
    references: tuple[str, ...]
    group: str
    prompt_hash: str


class RequestFacts(NamedTuple):
    """What is true of all rows of one file."""

    n: int
    chance: dict[str, float]
    """Metric -> score of guessing."""
    data: str
    """Fingerprint of the task's examples."""
    content: str
    """Fingerprint of the requests themselves."""
    unrestated: int
    """Pipeline prompts in which the study's own words stand for an item that the SampleGen model never restated."""


def wording(cell: EvaluateCell) -> WordingName:
    """How the items of an evaluation read: a model tuned on unified SampleGen has unified as its standard."""
    own = cell.condition.wording
    unified = cell.run is not None and cell.run.recipe.format == "samplegen-unified"
    return "unified" if unified and own == "standard" else own


def location(cell: EvaluateCell) -> str:
    """Where the requests of an evaluation lie within the store."""
    name = cell.condition.slug
    if cell.condition.name == "samplegen-direct" and wording(cell) != cell.condition.wording:
        name += f".{wording(cell)}"
    writer = f"{cell.run.slug}/" if cell.writer and cell.run else ""
    return f"requests/{name}/{writer}{cell.task.name}.parquet"


def responses_path(cell: EvaluateCell) -> str:
    """Where the responses of an evaluation lie within the store."""
    return f"tables/responses/{cell.slug.removeprefix('evaluate/')}.parquet"


def identity(cell: EvaluateCell) -> str:
    """Hash of all that decides the requests of an evaluation: its inputs but the model and the way of answering."""
    kept = ["task", "condition", "items", "study_seed"] + (["written_by"] if cell.writer else [])
    protocols = cast(dict[str, str], cell.inputs["protocols"])
    versions = [protocols["prompts"], protocols.get("wordings", ""), wording(cell)]
    return fingerprint([[cell.inputs[key] for key in kept], versions])


def render(
    cell: EvaluateCell, data: TaskData, written: Mapping[str, Mapping[str, object]] | None = None, pool: Pool = ()
) -> tuple[list[dict[str, object]], RequestFacts]:
    """The rows of an evaluation's requests.

    `written` has the response rows of `cell.writer` by item; `pool` the tasks that cross-task demonstrations come
    from. Raises TaskError where a prompt cannot be made, CellError where `written` lacks an item.
    """
    task, how = task_of(cell.task), wording(cell)
    examples = items(task, data, cast(int, cell.inputs["items"]), cast(int, cell.inputs["study_seed"]))
    rows: list[dict[str, object]] = []
    unrestated = 0
    frozen = _frozen(cell, task, data, how)
    for example in examples:
        worded = wordings.word(task, example, how)
        text = worded.input
        if cell.writer:
            row = (written or {}).get(example.id)
            if row is None:
                raise CellError(f"{cell.writer.slug} wrote nothing for the item {example.id}")
            shown = _written(cell, row)
            if cell.condition.name == "samplegen-pipeline":
                unrestated += row["restated"] is None
                text = cast(str | None, row["restated"]) or text
        else:
            shown = frozen if frozen is not None else _drawn(cell, task, data, example, pool, how)
        rows.append(_row(cell, example, worded, text, shown))
    unanswered = [judged(_request(row), None) for row in rows]
    guesses = {name: metrics.chance(name, unanswered, task.positive) for name in scored(task)}
    content = fingerprint([row["prompt_hash"] for row in rows])
    return rows, RequestFacts(len(rows), guesses, data.fingerprint, content, unrestated)


def prompt(condition: ConditionName, worded: Worded, text: str, shown: Sequence[Demonstration]) -> str:
    """What is sent: `text` is the item's own, or as a SampleGen model restated it."""
    if condition == "samplegen-direct":
        return prompts.samplegen(worded)
    if condition in ("base-direct", "tuned-direct", "tuned-few-shot"):
        return prompts.instruct(worded, shown)
    return prompts.few_shot(shown, text)


def scored(task: Task) -> tuple[MetricName, ...]:
    """Every metric that a task may be scored by: its own and those of all tasks."""
    always: tuple[MetricName, ...] = ("accuracy", "exact_match", "bertscore_accuracy")
    return tuple(dict.fromkeys((task.metric, *task.also, *always)))


def write(cell: EvaluateCell, data: TaskData, store: Store, pool: Pool = ()) -> None:
    """Render the requests of an evaluation, unless the store has them intact. Raises as `render`."""
    try:
        if store.exists(location(cell)) and _metadata(cell, store).get("identity") == identity(cell):
            return
    except StoreError as fault:
        logging.getLogger(__name__).warning("%s; it is made anew", fault)
    rows, facts = render(cell, data, _responses(cell.writer, store) if cell.writer else None, pool)
    described = {"identity": identity(cell), "facts": json.dumps(facts._asdict())}
    table = pa.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata(described)
    store.write_parquet(location(cell), table, row_group_size=_ROWS)


def items(task: Task, data: TaskData, count: int, seed: int) -> tuple[Example, ...]:
    """The first `count` test examples in an order that depends on the seed and their ids alone."""
    if not data.test:
        raise TaskError(f"the task {task.name} has no test items")
    key = {e.id: hashlib.sha256(f"{seed}/{task.name}/{e.id}".encode()).digest() for e in data.test}
    return tuple(sorted(data.test, key=lambda e: key[e.id])[:count])


def facts(cell: EvaluateCell, store: Store) -> RequestFacts:
    """What the file says of itself. Raises StoreError where it is absent or damaged."""
    return RequestFacts(**json.loads(_metadata(cell, store)["facts"]))


def read(cell: EvaluateCell, store: Store) -> Iterator[list[Request]]:
    """The requests of an evaluation, some thousand at a time. Raises StoreError where they are absent or damaged."""
    with store.open_input(location(cell)) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_ROWS):
            yield [_request(row) for row in batch.to_pylist()]


def _request(row: Mapping[str, Any]) -> Request:
    told: dict[str, Any] = {name: row[name] for name in Request._fields}
    told |= {name: tuple(row[name]) for name in ("options", "meant", "references")}
    return Request(**told)


def _metadata(cell: EvaluateCell, store: Store) -> dict[str, str]:
    with store.open_input(location(cell)) as stream:
        found = pq.read_schema(stream).metadata or {}
    return {key.decode(): value.decode() for key, value in found.items()}


def _responses(cell: EvaluateCell, store: Store) -> dict[str, Mapping[str, object]]:
    with store.open_input(responses_path(cell)) as stream:
        table = pq.read_table(stream, columns=["item", "worked", "restated"])
    return {cast(str, row["item"]): row for row in table.to_pylist()}


def _frozen(cell: EvaluateCell, task: Task, data: TaskData, how: WordingName) -> tuple[Demonstration, ...] | None:
    """The demonstrations of all items, where they are the same for all; else None."""
    condition = cell.condition
    if condition.shots == 0 or condition.name == "samplegen-direct":
        return ()
    if condition.draw == "per_item":
        return None
    drawn = prompts.demonstrations(task, data, condition.shots, condition.shot_seed)
    return tuple(prompts.demonstration(task, example, how) for example in drawn)


def _drawn(
    cell: EvaluateCell, task: Task, data: TaskData, example: Example, pool: Pool, how: WordingName
) -> tuple[Demonstration, ...]:
    """The demonstrations of one item."""
    condition = cell.condition
    if condition.name == "gold-pipeline-cross-task":
        return prompts.from_other_tasks(task, example.id, pool, condition.shots, condition.shot_seed, how)
    drawn = prompts.demonstrations(task, data, condition.shots, condition.shot_seed, example.id)
    return tuple(prompts.demonstration(task, one, how) for one in drawn)


def _written(cell: EvaluateCell, row: Mapping[str, object]) -> tuple[Demonstration, ...]:
    """What a SampleGen model wrote for an item, with its provenance."""
    run = cell.run.slug if cell.run else ""
    worked = cast(Sequence[Mapping[str, str]], row["worked"])
    return tuple(
        Demonstration(f"{run}/{row['item']}/{place}", one["input"], one["answer"]) for place, one in enumerate(worked)
    )


def _row(
    cell: EvaluateCell, example: Example, worded: Worded, text: str, shown: tuple[Demonstration, ...]
) -> dict[str, object]:
    context = prompt(cell.condition.name, worded, text, shown)
    return {
        "item": example.id,
        "context": context,
        "question": worded.input,
        "options": list(worded.options),
        "meant": list(example.options),
        "target": worded.target,
        "references": list(worded.references),
        "group": example.group,
        "demonstrations": [one._asdict() for one in shown],
        "prompt_hash": text_hash(context),
    }


def judged(request: Request, prediction: str | None) -> metrics.Judged:
    """One prediction as metrics see it, in the words of the task's own options."""
    meant = dict(zip(request.options, request.meant, strict=True))

    def plain(answer: str) -> str:
        return meant.get(answer, answer)

    references = tuple(map(plain, request.references))
    said = None if prediction is None else plain(prediction)
    return metrics.Judged(said, plain(request.target), references, request.meant, request.group)
