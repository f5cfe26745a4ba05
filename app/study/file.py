"""Reading a study file: every fault of it is reported together, as `file:line:col what; did you mean ...?`."""

import difflib
import re
import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import yaml
from pydantic import BaseModel, ValidationError

from app.errors import StudyError
from app.study.schema import Study

Location = tuple[int | str, ...]
_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


class StudyFile(NamedTuple):
    """A study with its origin, so that later floors can point at a line."""

    study: Study
    path: Path
    text: str
    marks: Mapping[Location, tuple[int, int]]

    def at(self, *location: int | str) -> str:
        """`file:line:col` of a place in the file, or of its nearest parent."""
        return _at(self.path, self.marks, location)


def load(path: str | Path) -> StudyFile:
    """Read and check a study file.

    Raises StudyError with one line for every fault.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise StudyError(f"{path}: the study file cannot be read ({fault})") from fault
    return parse(text, path)


def parse(text: str, path: Path) -> StudyFile:
    """Check the text of a study file; `path` is where it comes from, for messages and for relative paths.

    Raises StudyError with one line for every fault.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        marks: dict[Location, tuple[int, int]] = {}
        faults = _mark(node, (), marks, path)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise StudyError(f"{place} not YAML: {getattr(fault, 'problem', None) or fault}") from fault
    except RecursionError:
        raise StudyError(f"{path} is nested too deep, or an alias in it leads back into itself") from None
    except ValueError as fault:  # of a date or number that looks like one and is none
        raise StudyError(f"{path} holds a value that cannot be read ({fault}): put text in quotes") from fault
    if not isinstance(data, dict):
        raise StudyError(f"{path}:1:1 a study file is a mapping that starts with schema_version, name, bases, recipes")
    try:
        study = Study.model_validate(data)
    except ValidationError as fault:
        errors = fault.errors()
        # A list whose items are at fault is also reported as too short: one sentence is enough. `_mark` tells of keys.
        errors = [error for error in errors if error["type"] != "invalid_key"]
        inner = [e for e in errors if not any(o is not e and o["loc"][: len(e["loc"])] == e["loc"] for o in errors)]
        faults += [_sentence(path, marks, error) for error in inner]
        raise StudyError("\n".join(faults)) from None
    if faults:
        raise StudyError("\n".join(faults))
    return StudyFile(study, path, text, marks)


def _mark(node: yaml.Node | None, location: Location, marks: dict[Location, tuple[int, int]], path: Path) -> list[str]:
    """Fill `marks` with the line and column of every key and item; returns faults of keys given twice."""
    faults: list[str] = []
    if node is None:
        return faults
    marks.setdefault(location, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*location, str(key.value))
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if place in marks:
                faults.append(f"{path}:{line}:{column} the key {key.value} is given twice")
            if key.tag not in _KEYS:
                faults.append(f"{path}:{line}:{column} the key {key.value} is no text")
            marks[place] = (line, column)
            faults += _mark(value, place, marks, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            faults += _mark(item, (*location, index), marks, path)
    return faults


def _at(path: Path, marks: Mapping[Location, tuple[int, int]], location: Location) -> str:
    while location and location not in marks:
        location = location[:-1]
    line, column = marks.get(location, (1, 1))
    return f"{path}:{line}:{column}"


def _sentence(path: Path, marks: Mapping[Location, tuple[int, int]], error: Any) -> str:
    """One pydantic error as `file:line:col what; did you mean ...?`."""
    location, model = _resolve(tuple(error["loc"]))
    place = _at(path, marks, location)
    dotted = ".".join(str(part) for part in location)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        valid = list(model.model_fields) if model else []
        near = difflib.get_close_matches(str(location[-1]), valid, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; valid here: {', '.join(valid)}"
        return f"{place} unknown key {dotted}{hint}"
    if kind == "missing":
        return f"{place} {dotted} is missing"
    if kind in ("literal_error", "union_tag_invalid"):
        context = error["ctx"]
        expected = context.get("expected") or context.get("expected_tags", "")
        valid = re.findall(r"'([^']*)'", expected) or [expected]
        value = given.get("source") if kind == "union_tag_invalid" and isinstance(given, dict) else given
        if kind == "union_tag_invalid":
            dotted, place = f"{dotted}.source", _at(path, marks, (*location, "source"))
        near = difflib.get_close_matches(str(value), valid, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{place} {dotted} is {value!r}, which is none of {', '.join(valid)}{hint}"
    if kind == "union_tag_not_found":
        return f"{place} {dotted}.source is missing: ladder, hub, checkpoint or gguf"
    message = re.sub(r"^Value error, ", "", error["msg"])
    if kind == "value_error":
        return f"{place} {dotted + ': ' if dotted else ''}{message}"
    return f"{place} {dotted} is {reprlib.repr(given)}: {message[0].lower()}{message[1:]}"


def _resolve(loc: Location) -> tuple[Location, type[BaseModel] | None]:
    """Pydantic's location without the tags of unions, and the model that holds its last part."""
    cleaned: list[int | str] = []
    holder: type[BaseModel] | None = None
    kind: Any = Study
    for part in loc:
        members = _members(kind)
        model = next((m for m in members if isinstance(m, type) and issubclass(m, BaseModel)), None)
        tags = {t: m for m in members if isinstance(m, type) and issubclass(m, BaseModel) for t in _tags(m)}
        if isinstance(part, str) and part in tags:
            kind = tags[part]
            continue
        if isinstance(part, int):
            cleaned.append(part)
            kind = next((typing.get_args(m)[0] for m in members if typing.get_origin(m) is tuple), None)
        elif model is not None:
            cleaned.append(part)
            holder = model
            field = model.model_fields.get(part)
            kind = field.annotation if field else None
        elif any(typing.get_origin(m) is dict for m in members):
            cleaned.append(part)
            kind = next(typing.get_args(m)[1] for m in members if typing.get_origin(m) is dict)
        # Anything else is a tag that pydantic adds for a member of a plain union: not a place in the file.
    return tuple(cleaned), holder


def _members(kind: Any) -> Sequence[Any]:
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return typing.get_args(kind)
    return (kind,)


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("source")
    return cast(tuple[str, ...], typing.get_args(field.annotation)) if field else ()
