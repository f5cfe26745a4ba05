"""From a task to its examples: generated, from a local mirror of the hub, from the hub, or from a file of the user's.

Order and ids follow the source, so the same source gives the same examples anywhere. What a task must hold is checked
here, once: labelled test rows, more than one class, templates whose fields exist, and no train example that is also a
test item.
"""

import csv
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO, cast

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.exceptions import DatasetNotFoundError, DatasetsError

from app.errors import TaskError
from app.identity import canonical_json
from app.tasks import wordings
from app.tasks.task import Example, Generated, Hub, Manual, Row, Split, Task, TaskData, content

CONVERTED = "refs/convert/parquet"
"""The hub's branch with its own Parquet conversion: what is left of a data set that was published as a program."""
ROWS = 100_000
"""Rows of a split that are kept at most: of a larger one every second row is, or every fourth, and so on. Web-crawled
translations have 30 million rows, and no mixture or sample asks for so many."""
_BATCH = 1_000
"""Rows turned into Python objects at a time."""
_TRAIN_SHARE = 5
"""Of a data set with one split, one different item in so many becomes train."""
_WITH_MIRROR = "--data-mirror FOLDER or FEWTUNE_DATA_MIRROR"
_MIRROR_HINT = f"to work without network, give a mirror with {_WITH_MIRROR}"


def load(task: Task, mirror: str | Path | None) -> TaskData:
    """The examples of a task; kept for the life of the process.

    `mirror` is a folder that holds OWNER/NAME/CONFIG/SPLIT.parquet, and the files that users fetch themselves; without
    it the hub is asked. No code of a data set is ever run. Raises TaskError where data is missing, cannot be reached,
    lacks a column or a field, or has no usable labels.
    """
    return _load(task, None if mirror is None else str(mirror))


@lru_cache(maxsize=128)
def _load(task: Task, mirror: str | None) -> TaskData:
    train, test = _both(task, mirror)
    _check(task, "test", test)
    check_templates(task, test[0])
    shown = {content(task, example) for example in test}
    kept = tuple(example for example in train if content(task, example) not in shown)
    if kept:
        _check(task, "train", kept)
    shared = {example.id for example in kept} & {example.id for example in test}
    if shared:
        raise TaskError(f"task {task.name}: train and test share the id {min(shared)}; give every example its own")
    return TaskData(kept, tuple(test), _fingerprint((*kept, *test)), len(train) - len(kept))


def check_templates(task: Task, example: Example) -> None:
    """Word an example in every template. Raises TaskError where one names a field that there is not."""
    for number in range(len(task.templates)):
        wordings.word(task, example, template=number)


class _Both(NamedTuple):
    train: list[Example]
    test: list[Example]


def _both(task: Task, mirror: str | None) -> _Both:
    match task.source:
        case Generated(make):
            return _Both(make("train"), make("test"))
        case Hub() as hub:
            if hub.train == hub.test:
                return _cut(task, _examples(task, hub.train, _split(task, hub, hub.train, mirror)))
            read = {name: _examples(task, name, _split(task, hub, name, mirror)) for name in (hub.train, hub.test)}
            return _Both(read[hub.train], read[hub.test])
        case Manual() as manual:
            if not manual.test:
                return _cut(task, _examples(task, "row", _file(task, manual, manual.file, mirror)))
            return _Both(
                _examples(task, "train", _file(task, manual, manual.file, mirror)),
                _examples(task, "test", _file(task, manual, manual.test, mirror)),
            )


def _cut(task: Task, examples: list[Example]) -> _Both:
    """Train and test of a source that has one split; examples of equal content stay on one side.

    The different items are ordered by a hash of their content, and the first fifth is train: no seed, and no effect
    of the order of rows.
    """
    items = sorted(
        {content(task, example) for example in examples}, key=lambda item: hashlib.sha256(item.encode()).digest()
    )
    if len(items) < 2:
        raise TaskError(f"task {task.name}: its only split has one item, which cannot be cut into train and test")
    demonstrated = set(items[: max(1, len(items) // _TRAIN_SHARE)])
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        sides[content(task, example) not in demonstrated].append(example)
    return _Both(*sides)


class _Rows(NamedTuple):
    """Rows of a split with their numbers, and where they came from, for messages."""

    rows: Iterable[tuple[int, Row]]
    place: str


def _examples(task: Task, name: str, source: _Rows) -> list[Example]:
    """The rows of a split as examples; an id is `name` and the number of the row."""
    if task.to_example is None:
        raise TaskError(f"task {task.name} reads {source.place} but has no to_example to read its rows with")
    examples: list[Example] = []
    for number, row in source.rows:
        try:
            parsed = task.to_example(row)
        except KeyError as fault:
            if fault.args[:1] and fault.args[0] in row:
                raise
            raise TaskError(
                f"task {task.name}: {source.place} has no column {fault.args[0]}; its columns are "
                f"{', '.join(map(str, row))}"
            ) from None
        except TaskError as fault:
            raise TaskError(f"task {task.name}: row {number} of {source.place}: {fault}") from fault
        if parsed is not None:
            examples.append(Example(f"{name}-{number}", *parsed))
    if not examples:
        raise TaskError(
            f"task {task.name}: {source.place} has no row with a gold label; name a labelled split in its source"
        )
    return examples


def _split(task: Task, hub: Hub, split: str, mirror: str | None) -> _Rows:
    return _from_hub(task, hub, split) if mirror is None else _from_mirror(task, hub, split, Path(mirror))


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
    numbers = _spaced(table.num_rows)
    kept = table if numbers.step == 1 else table.take(pa.array(numbers))
    return _Rows(zip(numbers, _rows(kept), strict=True), str(path))


def _from_hub(task: Task, hub: Hub, split: str) -> _Rows:
    place = f"the split {split} of {hub.id} ({hub.config}) on the hub"
    try:
        if hub.revision == CONVERTED:
            # Of a split over 5 GB the hub converted the beginning only, into a folder partial-SPLIT.
            files = f"hf://datasets/{hub.id}@{CONVERTED}/{hub.config}/*{split}/*.parquet"
            data = datasets.load_dataset("parquet", data_files={"rows": files}, split="rows")
        else:
            config = None if hub.config == "default" else hub.config
            data = datasets.load_dataset(hub.id, config, split=split, revision=hub.revision)
    except (ConnectionError, TimeoutError) as fault:
        raise TaskError(f"task {task.name}: the hub cannot be reached for {hub.id}; {_MIRROR_HINT}") from fault
    except DatasetNotFoundError as fault:
        raise TaskError(
            f"task {task.name}: the hub has no data set {hub.id} any more, or does not show it to you: give another "
            f"source for {task.name} in the study's `sources` ({_first_line(fault)})"
        ) from fault
    # The library reports a missing config, split or file through these; its sentence says which.
    except (FileNotFoundError, ValueError, RuntimeError, DatasetsError) as fault:
        raise TaskError(
            f"task {task.name}: {place} cannot be loaded ({_first_line(fault)}); if it has moved, give another source "
            f"for {task.name} in the study's `sources`"
        ) from fault
    numbers = _spaced(len(data))
    table = data.select(numbers).with_format("arrow")
    batches = (cast(pa.Table, batch) for batch in table.iter(_BATCH))
    return _Rows(zip(numbers, (row for batch in batches for row in _rows(batch)), strict=True), place)


def _spaced(count: int) -> range:
    """The numbers of the rows that are kept of so many."""
    step = 1
    while count > ROWS * step:
        step *= 2
    return range(0, count, step)


def _rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from batch.to_pylist()


def _file(task: Task, manual: Manual, name: str, mirror: str | None) -> _Rows:
    """The rows of a file that the user fetched."""
    how = manual.how.rstrip(".")
    if mirror is None:
        raise TaskError(
            f"task {task.name} reads a file that you fetch yourself: put it at FOLDER/{name} and give that folder with "
            f"{_WITH_MIRROR} ({how})"
        )
    path = Path(mirror) / name
    if not path.is_file():
        raise TaskError(f"task {task.name} reads a file that you fetch yourself: put it at {path} ({how})")
    kept: list[tuple[int, Row]] = []
    step = 1
    for number, row in enumerate(_parsed(task, path)):
        if number % step == 0:
            kept.append((number, row))
        if len(kept) > ROWS:  # how many there are is known only at the end
            kept, step = kept[::2], 2 * step
    return _Rows(kept, str(path))


def _parsed(task: Task, path: Path) -> Iterator[Row]:
    """The rows of a text file, as its name says; lines and compressed text are streamed."""
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
            rows = _decoded(cast(TextIO, lines), path.name.removesuffix(".gz"))
            for number, row in enumerate(rows):
                if not isinstance(row, dict):
                    raise TaskError(f"task {task.name}: row {number} of {path} is {row!r}, not an object with columns")
                yield cast(Row, row)
    except (ValueError, OSError, EOFError, csv.Error) as fault:
        raise TaskError(f"task {task.name}: {path} cannot be read ({_first_line(fault)})") from fault


def _decoded(lines: TextIO, name: str) -> Iterator[object]:
    match name.rpartition(".")[2]:
        case "csv":
            yield from csv.DictReader(lines)
        case "tsv":
            # Quotes in such files are text: a lone one must not swallow the rows that follow.
            yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        case "json":
            read = json.load(lines)
            if not isinstance(read, list):
                raise ValueError("it is not a list of objects")
            yield from cast(list[object], read)
        case "jsonl":
            yield from (json.loads(line) for line in lines if line.strip())
        case ending:
            raise ValueError(f"files that end in .{ending} are not known; .csv, .tsv, .json and .jsonl are")


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
    for answer in (example.target, *example.references):
        if not answer.strip() or "\n" in answer:
            return f"has the answer {answer!r}; an answer is one line of text"
    if (task.metric == "accuracy" or example.options) and len(example.options) < 2:
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
        line: list[object] = [example.id, dict(example.fields), example.options, example.target]
        # Left out where empty, so that a task without them keeps its fingerprint.
        if example.references or example.group:
            line += [example.references, example.group]
        digest.update(canonical_json(line).encode() + b"\n")
    return digest.hexdigest()[:16]


def _first_line(fault: Exception) -> str:
    return str(fault).strip().split("\n", 1)[0].rstrip(".")
