"""A table that somebody made elsewhere: Parquet, CSV, TSV, JSON or JSON lines, with its columns under known names.

A column whose name is not known is refused with the nearest known one, not passed over: a misspelt `famly` would
change every interval.
"""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from app.errors import InputError


def load(path: Path) -> pa.Table:
    """The table in a file. Raises InputError where it is absent, of another kind, damaged or empty."""
    readers: dict[str, Callable[[Path], pa.Table]] = {
        ".parquet": _parquet, ".csv": _csv, ".tsv": _tsv, ".json": _json, ".jsonl": _json,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is no table that FewTune reads: give a file that ends in {', '.join(readers)}")
    if not path.is_file():
        raise InputError(f"{path} is not there: give a file of scores")
    try:
        table = reader(path)
    except (pa.ArrowException, OSError, UnicodeError, ValueError) as fault:
        raise InputError(f"{path} is no {path.suffix[1:]} table ({str(fault).splitlines()[0]})") from fault
    if not table.num_rows:
        raise InputError(f"{path} has no rows")
    return table


def named(table: pa.Table, synonyms: Mapping[str, Sequence[str]], required: Sequence[str], origin: str) -> pa.Table:
    """`table` with its columns under the names that `synonyms` lists other words for; blanks and case do not matter.

    Raises InputError for a column that is unknown, there twice, or missing.
    """
    meant = {word: name for name, words in synonyms.items() for word in (name, *words)}
    found = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in table.column_names]
    known = ", ".join(synonyms)
    unknown = [name for name in found if name not in meant]
    if unknown:
        near = difflib.get_close_matches(unknown[0], meant, 1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise InputError(
            f"{origin}: unknown column{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}{guess} "
            f"(found: {', '.join(found)}; known: {known})"
        )
    names = [meant[name] for name in found]
    for name in names:
        same = [given for given, meaning in zip(found, names, strict=True) if meaning == name]
        if len(same) > 1:
            raise InputError(f"{origin}: the columns {' and '.join(same)} both mean {name}: keep one")
    absent = [name for name in required if name not in names]
    if absent:
        raise InputError(
            f"{origin}: no column {', '.join(absent)} (found: {', '.join(found)}; wanted: {', '.join(required)})"
        )
    return table.rename_columns(names)


def texts(table: pa.Table, name: str, origin: str) -> list[str]:
    """A column of names, none of them empty. Raises InputError with the row's number."""
    values = ["" if value is None else str(value).strip() for value in table[name].to_pylist()]
    for place, value in enumerate(values, 1):
        if not value or value.lower() == "nan":
            raise InputError(f"{origin}, row {place}: {name} is empty")
    return values


def numbers(table: pa.Table, name: str, origin: str) -> list[float | None]:
    """A column of numbers; None where it is empty or NaN. Raises InputError where it holds anything else."""
    column = table[name].to_pylist()
    found: list[float | None] = []
    for place, value in enumerate(column, 1):
        if value is None or value == "" or value != value:
            found.append(None)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{origin}, row {place}: {name} is {value!r}, wanted a number")
        elif value in (float("inf"), float("-inf")):
            raise InputError(f"{origin}, row {place}: {name} is infinite: leave a score that is unknown empty")
        else:
            found.append(float(value))
    return found


def _parquet(path: Path) -> pa.Table:
    return pq.read_table(path)


def _csv(path: Path, delimiter: str = ",") -> pa.Table:
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(strings_can_be_null=True),
    )


def _tsv(path: Path) -> pa.Table:
    return _csv(path, "\t")


def _json(path: Path) -> pa.Table:
    """A list of objects, or one object a line."""
    text = path.read_text(encoding="utf-8")
    read: Any = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in _lines(text)]
    if not all(isinstance(row, dict) for row in read):
        raise ValueError("wanted a list of objects, one for each row")
    rows = cast(list[dict[str, object]], read)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns})


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
