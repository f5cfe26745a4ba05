"""The table of requests: one row for each item of a task under one condition, rendered once for all models.

Requests lie in the store, so that both sides of a pair provably see the same items, and a reader can look a
prompt up by its hash.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import TaskError
from app.identity import fingerprint, text_hash
from app.plan import EvaluateCell
from app.store import Store
from app.tasks import catalog, metrics, prompts
from app.tasks.task import Example, MetricName, Task, TaskData

SCHEMA = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("context", pa.string(), nullable=False),
        pa.field("options", pa.list_(pa.string()), nullable=False),
        pa.field("target", pa.string(), nullable=False),
        pa.field("demonstrations", pa.list_(pa.string()), nullable=False),  # ids, in the order shown
        pa.field("prompt_hash", pa.string(), nullable=False),
    ]
)
_METRICS: tuple[MetricName, ...] = ("accuracy", "exact_match")
_ROWS = 2_048  # of a row group: what an actor holds at once


class Request(NamedTuple):
    """One row: a prompt, and what answers it."""

    item: str
    context: str
    options: tuple[str, ...]
    target: str
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


def location(cell: EvaluateCell) -> str:
    """Where the requests of an evaluation lie within the store."""
    return f"requests/{cell.condition.slug}/{cell.task.name}.parquet"


def identity(cell: EvaluateCell) -> str:
    """Hash of all that decides the requests of an evaluation: its inputs but the model and the way of answering."""
    kept = ("task", "condition", "items", "study_seed")
    protocols = cast(dict[str, str], cell.inputs["protocols"])
    return fingerprint([[cell.inputs[key] for key in kept], protocols["prompts"]])


def render(cell: EvaluateCell, data: TaskData) -> tuple[list[dict[str, object]], RequestFacts]:
    """The rows of an evaluation's requests. Raises TaskError where a prompt cannot be made."""
    task = catalog.by_name(cell.task.name)
    examples = items(task, data, cast(int, cell.inputs["items"]), cast(int, cell.inputs["study_seed"]))
    condition = cell.condition
    frozen = prompts.demonstrations(task, data, condition.shots, condition.shot_seed) if condition.shots else ()
    rows: list[dict[str, object]] = []
    for example in examples:
        shown = frozen
        if condition.shots and condition.draw == "per_item":
            shown = prompts.demonstrations(task, data, condition.shots, condition.shot_seed, example.id)
        rows.append(_row(condition.name, task, shown, example))
    guesses = {name: metrics.chance(examples, name) for name in _METRICS}
    return rows, RequestFacts(len(rows), guesses, data.fingerprint, fingerprint([row["prompt_hash"] for row in rows]))


def write(cell: EvaluateCell, data: TaskData, store: Store) -> None:
    """Render the requests of an evaluation, unless the store has them."""
    if _metadata(cell, store).get("identity") == identity(cell):
        return
    rows, facts = render(cell, data)
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
    """What the file says of itself."""
    return RequestFacts(**json.loads(_metadata(cell, store)["facts"]))


def read(cell: EvaluateCell, store: Store) -> Iterator[list[Request]]:
    """The requests of an evaluation, some thousand at a time."""
    with store.open_input(location(cell)) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_ROWS):
            yield [
                Request(r["item"], r["context"], tuple(r["options"]), r["target"], r["prompt_hash"])
                for r in batch.to_pylist()
            ]


def _metadata(cell: EvaluateCell, store: Store) -> dict[str, str]:
    if not store.exists(location(cell)):
        return {}
    with store.open_input(location(cell)) as stream:
        found = pq.read_schema(stream).metadata or {}
    return {key.decode(): value.decode() for key, value in found.items()}


def _row(condition: str, task: Task, shown: tuple[Example, ...], example: Example) -> dict[str, object]:
    if condition in ("base-zero-shot", "base-few-shot"):
        context = prompts.few_shot(task, shown, example)
    elif condition == "tuned-few-shot":
        context = prompts.instruct_few_shot(task, shown, example)
    else:
        context = prompts.instruct(task, example)
    return {
        "item": example.id,
        "context": context,
        "options": list(example.options),
        "target": example.target,
        "demonstrations": [d.id for d in shown],
        "prompt_hash": text_hash(context),
    }
