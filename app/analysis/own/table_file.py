"""A table that somebody made elsewhere: Parquet, CSV, TSV, JSON or JSON lines, with its columns under known names.

A column whose name is not known is refused with the nearest known one, not passed over: a misspelt `famly` would
change every interval.
"""

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from app.errors import InputError

_INDEX = ("", "Unnamed: 0", "__index_level_0__")
"""Columns in which pandas numbers the rows, unless it is told not to."""
_TOO_LARGE = 2.0**62


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
        table = _text(reader(path))
    except UnicodeError as fault:
        raise InputError(f"{path} is not in UTF-8: save it as UTF-8") from fault
    except (pa.ArrowException, OSError, ValueError, RecursionError) as fault:
        raise InputError(f"{path} is no {path.suffix[1:]} table ({str(fault).splitlines()[0]})") from fault
    if not table.num_rows:
        raise InputError(f"{path} has no rows")
    if table.num_columns == 1 and ";" in table.column_names[0]:
        raise InputError(f"{path} has one column, {table.column_names[0]}: separate columns by commas, not semicolons")
    return table.select([place for place, name in enumerate(table.column_names) if name not in _INDEX])


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
            continue
        number = number_of(value)
        if number is None:
            raise InputError(f"{origin}, row {place}: {name} is {value!r}, wanted a number")
        if math.isinf(number):
            raise InputError(f"{origin}, row {place}: {name} is infinite: leave a score that is unknown empty")
        found.append(None if math.isnan(number) else number)
    return found


def number_of(value: object) -> float | None:
    """A number, also one that stands as text because a cell beside it is no number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def whole(value: float | None, what: str) -> int:
    """A count, 0 for None. Raises InputError, which begins with `what`, where it is negative, broken or too large."""
    number = value or 0.0
    if number >= _TOO_LARGE:
        raise InputError(f"{what} is {number:g}, which is larger than any count")
    if number < 0 or not number.is_integer():
        raise InputError(f"{what} is {number:g}, wanted a whole number that is not negative")
    return int(number)


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
    return pa.table({name: _column([row.get(name) for row in rows]) for name in columns})


def _column(values: list[object]) -> pa.Array:
    """Values of several kinds become text, as in a CSV file: what is amiss is told where the column is read."""
    kinds = {_kind(value) for value in values if value is not None}
    if len(kinds) > 1:
        return pa.array([None if value is None else str(value) for value in values])
    # As floats: whole numbers of any size are told from counts that are too large where these are read.
    return pa.array(values, pa.float64()) if kinds == {float} else pa.array(values)


def _kind(value: object) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _text(table: pa.Table) -> pa.Table:
    """Bytes as text. Raises UnicodeError where they are not in UTF-8."""
    table.column_names  # noqa: B018 - decoded here, so that a fault is one of the file
    for place, field in enumerate(table.schema):
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            words = [None if value is None else value.decode() for value in table[place].to_pylist()]
            table = table.set_column(place, field.name, pa.array(words, pa.string()))
    return table


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
