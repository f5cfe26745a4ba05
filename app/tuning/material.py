"""What a run is tuned on: its mixture as token ids, kept in the store for all runs that learn from the same ids.

A file lies under the hash of all that decides it: tokenizer, tasks with their wordings, data, what was left out of it,
settings of the recipe, seed, and the versions of what draws, words and encodes. Its content is held against a hash of
its own; what is damaged is made again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from app.errors import StoreError
from app.identity import canonical_json, fingerprint, text_hash, versions
from app.plan import Run
from app.store import Store
from app.tasks import contamination, loading
from app.tasks.planned import task_of
from app.tasks.task import Task, TaskData
from app.tuning.encoding import Encoded, EncodedMixture, encode
from app.tuning.mixture import draw

FOLDER = "mixtures"
_VERSION = "1"  # of the files
_SCHEMA = pa.schema([("ids", pa.list_(pa.int32())), ("answer", pa.int32())])
_TOLD, _HASH = b"fewtune.mixture", b"fewtune.sha256"


class Material(NamedTuple):
    """The examples of a run, and what they were made of."""

    mixture: EncodedMixture
    drawn: Mapping[str, int]
    """Task -> its examples."""
    left_out: Mapping[str, int]
    """Task -> training examples that hold a test item and were not drawn from."""


def gather(
    run: Run, tokenizer: PreTrainedTokenizerBase, longest: int, store: Store, mirror: str | None
) -> tuple[Material, dict[str, str]]:
    """A run's examples of at most `longest` tokens, and the fingerprint of each task's data.

    They are read where the store holds them, else made and kept there. Raises TaskError where data or a task is at
    fault.
    """
    tasks = [task_of(task) for task in run.mixture]
    data = {task.name: loading.load(task, mirror) for task in tasks}
    tested = [(task, loading.load(task, mirror)) for task in map(task_of, run.evaluated)]
    marks = {name: loaded.fingerprint for name, loaded in data.items()}
    told = _identity(tokenizer)
    place = told and f"{FOLDER}/{_key(run, told, longest, marks, tested)}.parquet"
    found = _read(store, place) if place else None
    if found is None:
        found = _made(run, tokenizer, longest, tasks, data, tested)
        if place:
            store.write_parquet(place, _table(found))
    return found, marks


def _made(
    run: Run,
    tokenizer: PreTrainedTokenizerBase,
    longest: int,
    tasks: Sequence[Task],
    data: dict[str, TaskData],
    tested: Sequence[tuple[Task, TaskData]],
) -> Material:
    recipe = run.recipe
    left_out = _clean(tasks, data, tested)
    drawn = draw(tasks, data, recipe.examples, recipe.rate_cap, _seed(run), recipe.format, _worked(run))
    counts = Counter(one.task.name for one in drawn)
    mixture = encode(drawn, tokenizer, longest, recipe)
    return Material(mixture, {task.name: counts[task.name] for task in tasks}, left_out)


def _clean(tasks: Sequence[Task], data: dict[str, TaskData], tested: Sequence[tuple[Task, TaskData]]) -> dict[str, int]:
    """Take training examples that hold a test item out of `data`; task -> how many."""
    if not tested:
        return {}
    found = contamination.clean([(task, data[task.name]) for task in tasks], [(task, d.test) for task, d in tested])
    for name, ids in found.items():
        kept = tuple(example for example in data[name].train if example.id not in ids)
        data[name] = data[name]._replace(train=kept)
    return {name: len(ids) for name, ids in found.items() if ids}


def _seed(run: Run) -> str:
    return f"{run.inputs['study_seed']}/{run.seed}/{fingerprint([task.name for task in run.mixture])}"


def _worked(run: Run) -> int:
    return cast(int, cast(dict[str, object], run.inputs["recipe"]).get("worked_examples", 0))


def _key(
    run: Run, tokenizer: str, longest: int, marks: Mapping[str, str], tested: Sequence[tuple[Task, TaskData]]
) -> str:
    recipe, used = run.recipe, versions()
    return fingerprint(
        {
            "file": _VERSION,
            "tokenizer": tokenizer,
            "tasks": [task.inputs for task in run.mixture],
            "data": marks,
            "without": [contamination.VERSION, {task.name: found.fingerprint for task, found in tested}],
            "recipe": [recipe.format, recipe.chat, recipe.examples, recipe.rate_cap, _worked(run)],
            "longest": longest,
            "seed": _seed(run),
            "protocols": run.inputs["protocols"],
            "libraries": [used["tokenizers"], used["transformers"]],
        }
    )


def _identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of all that a tokenizer does to a text; empty for one written in Python, which no file describes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return ""
    backend.no_truncation()  # left behind by whoever used it last
    backend.no_padding()
    template = json.dumps(tokenizer.chat_template, sort_keys=True)
    return text_hash(canonical_json([backend.to_str(), template, tokenizer.eos_token_id]))


def _table(found: Material) -> pa.Table:
    """One row for each example."""
    examples = found.mixture.examples
    table = pa.table({"ids": [example.ids for example in examples], "answer": [e.answer for e in examples]}, _SCHEMA)
    told = json.dumps({"cut": found.mixture.cut, "drawn": found.drawn, "left_out": found.left_out}).encode()
    return table.replace_schema_metadata({_TOLD: told, _HASH: _digest(table, told)})


def _read(store: Store, place: str) -> Material | None:
    """What lies there; None where there is nothing, or something damaged."""
    try:
        with store.open_input(place) as stream:
            table = pq.read_table(stream)
        mark = table.schema.metadata[_TOLD]
        if table.schema.metadata[_HASH] != _digest(table, mark):
            return None
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):  # what reads a damaged file meets anything
        return None
    told, (ids, ends, answers) = json.loads(mark), (part.tolist() for part in _columns(table))
    examples = zip([0, *ends], ends, answers, strict=False)
    encoded = tuple(Encoded(tuple(ids[start:end]), answer) for start, end, answer in examples)
    return Material(EncodedMixture(encoded, told["cut"]), told["drawn"], told["left_out"])


def _columns(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ids one after the other; where each example ends among them; how many of its ids are labels."""
    lists = table["ids"].combine_chunks()
    return lists.flatten().to_numpy(), np.cumsum(np.diff(lists.offsets.to_numpy())), table["answer"].to_numpy()


def _digest(table: pa.Table, told: bytes) -> bytes:
    """SHA-256 of the content."""
    content = hashlib.sha256(told)
    for column in _columns(table):
        content.update(column.tobytes())
    return content.hexdigest().encode()
