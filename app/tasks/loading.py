"""From a task to its examples: generated, from a local mirror of the hub, or from the hub.

Order and ids follow the source, so the same source gives the same examples anywhere. What a task must hold is checked
here, once: labelled test rows, more than one class, and no train example that is also a test item.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, cast

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.exceptions import DatasetsError

from app.errors import TaskError
from app.identity import canonical_json
from app.tasks.task import Example, Generated, Hub, Row, Split, Task, TaskData, content

CONVERTED = "refs/convert/parquet"
"""The hub's branch with its own Parquet conversion: what is left of a data set that was published as a program."""
_BATCH = 1_000
"""Rows turned into Python objects at a time."""
_MIRROR_HINT = "to work without network, give a mirror with --data-mirror FOLDER or FEWTUNE_DATA_MIRROR"


def load(task: Task, mirror: str | Path | None) -> TaskData:
    """The examples of a task; kept for the life of the process.

    `mirror` is a folder that holds OWNER/NAME/CONFIG/SPLIT.parquet; without it the hub is asked. No code of a data
    set is ever run. Raises TaskError where data is missing, cannot be reached, lacks a column or has no usable labels.
    """
    return _load(task, None if mirror is None else str(mirror))


@lru_cache(maxsize=64)
def _load(task: Task, mirror: str | None) -> TaskData:
    if isinstance(task.source, Generated):
        read = {split: task.source.make(split) for split in ("train", "test")}
    else:
        read = {
            "train": _examples(task, task.source, "train", mirror),
            "test": _examples(task, task.source, "test", mirror),
        }
    train, test = read["train"], read["test"]
    _check(task, "test", test)
    shown = {content(task, example) for example in test}
    kept = tuple(example for example in train if content(task, example) not in shown)
    if kept:
        _check(task, "train", kept)
    shared = {example.id for example in kept} & {example.id for example in test}
    if shared:
        raise TaskError(f"task {task.name}: train and test share the id {min(shared)}; give every example its own")
    return TaskData(kept, tuple(test), _fingerprint((*kept, *test)), len(train) - len(kept))


class _Rows(NamedTuple):
    """Rows of a split, and where they came from, for messages."""

    rows: Iterable[Row]
    columns: Sequence[str]
    place: str


def _examples(task: Task, hub: Hub, split: Split, mirror: str | None) -> list[Example]:
    name = hub.train if split == "train" else hub.test
    source = _from_mirror(task, hub, name, Path(mirror)) if mirror is not None else _from_hub(task, hub, name)
    if task.to_example is None:
        raise TaskError(f"task {task.name} reads {hub.id} but has no to_example to read its rows with")
    examples: list[Example] = []
    for number, row in enumerate(source.rows):
        try:
            parsed = task.to_example(row)
        except KeyError as fault:
            if fault.args[:1] and fault.args[0] in row:
                raise
            raise TaskError(
                f"task {task.name}: {source.place} has no column {fault.args[0]}; its columns are "
                f"{', '.join(source.columns)}"
            ) from None
        except TaskError as fault:
            raise TaskError(f"task {task.name}: row {number} of {source.place}: {fault}") from fault
        if parsed is not None:
            examples.append(Example(f"{name}-{number}", parsed.fields, parsed.options, parsed.target))
    if not examples:
        raise TaskError(
            f"task {task.name}: {source.place} has no row with a gold label; name a labelled split in its source"
        )
    return examples


def _from_mirror(task: Task, hub: Hub, split: str, mirror: Path) -> _Rows:
    folder = mirror / hub.id / hub.config
    path = folder / f"{split}.parquet"
    if not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.parquet"))
        holds = f"that folder holds the splits {', '.join(there)}" if there else "that folder holds no split"
        raise TaskError(f"task {task.name}: the data mirror has no file {path}; {holds}")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as fault:
        raise TaskError(f"task {task.name}: {path} cannot be read as Parquet ({fault})") from fault
    return _Rows(_rows(table), table.column_names, str(path))


def _from_hub(task: Task, hub: Hub, split: str) -> _Rows:
    place = f"the split {split} of {hub.id} ({hub.config}) on the hub"
    try:
        if hub.revision == CONVERTED:
            files = f"hf://datasets/{hub.id}@{CONVERTED}/{hub.config}/{split}/*.parquet"
            data = datasets.load_dataset("parquet", data_files={split: files}, split=split)
        else:
            config = None if hub.config == "default" else hub.config
            data = datasets.load_dataset(hub.id, config, split=split, revision=hub.revision)
    except (ConnectionError, TimeoutError) as fault:
        raise TaskError(f"task {task.name}: the hub cannot be reached for {hub.id}; {_MIRROR_HINT}") from fault
    # The library reports a missing data set, config, split or file through these; its sentence says which.
    except (FileNotFoundError, ValueError, RuntimeError, DatasetsError) as fault:
        raise TaskError(f"task {task.name}: {place} cannot be loaded ({_first_line(fault)})") from fault
    table = data.with_format("arrow")
    batches = (cast(pa.Table, batch) for batch in table.iter(_BATCH))
    return _Rows((row for batch in batches for row in _rows(batch)), table.column_names, place)


def _rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


def _check(task: Task, split: Split, examples: Sequence[Example]) -> None:
    """Raise TaskError for a split that no metric could be computed on."""
    if not examples:
        raise TaskError(f"task {task.name} has no {split} example")
    identical = [name for name, times in Counter(example.id for example in examples).items() if times > 1]
    if identical:
        raise TaskError(f"task {task.name}: two {split} examples have the id {identical[0]}; ids must differ")
    for example in examples:
        fault = _fault(task, example)
        if fault:
            raise TaskError(f"task {task.name}: {split} example {example.id} {fault}")
    classes = {example.options for example in examples}
    if len(classes) == 1 and examples[0].options and len({example.target for example in examples}) == 1:
        raise TaskError(
            f"task {task.name}: all {len(examples)} {split} examples have the answer {examples[0].target!r}: "
            f"a task needs more than one class"
        )


def _fault(task: Task, example: Example) -> str:
    if not example.target.strip() or "\n" in example.target:
        return f"has the answer {example.target!r}; an answer is one line of text"
    if task.metric == "accuracy" and len(example.options) < 2:
        return f"has {len(example.options)} options; accuracy needs two or more"
    if len(set(example.options)) < len(example.options):
        return f"shows an option twice: {list(example.options)}"
    if example.options and example.target not in example.options:
        return f"has the answer {example.target!r}, which is none of its options {list(example.options)}"
    return ""


def _fingerprint(examples: Iterable[Example]) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over one canonical line for each example."""
    digest = hashlib.sha256()
    for example in examples:
        line = canonical_json([example.id, dict(example.fields), example.options, example.target])
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()[:16]


def _first_line(fault: Exception) -> str:
    return str(fault).strip().split("\n", 1)[0].rstrip(".")
