"""Reading hub rows: the few shapes that most tasks share, so that a new task is one small constant.

A reader turns a row into `Parsed`, or into None where the row has no gold label. Blanks and newlines inside a field
are collapsed, because a newline separates the parts of a prompt and ends an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from app.errors import TaskError
from app.tasks.task import Parsed, Row


def text(row: Row, column: str) -> str:
    """A text column on one line. Raises KeyError for a missing column, TaskError where it holds no text."""
    value = row[column]
    if not isinstance(value, str):
        raise TaskError(f"column {column} holds {value!r}, not text: name another column in the task's reader")
    return " ".join(value.split())


def texts(row: Row, column: str) -> tuple[str, ...]:
    """A list of texts, each on one line. Raises as `text`."""
    value = row[column]
    if not isinstance(value, list):
        raise TaskError(f"column {column} holds {value!r}, not a list: name another column in the task's reader")
    return tuple(" ".join(str(item).split()) for item in cast(list[object], value))


def part(row: Row, column: str) -> Row:
    """A column that itself holds named columns. Raises KeyError for a missing column, TaskError for another kind."""
    value = row[column]
    if not isinstance(value, Mapping):
        raise TaskError(f"column {column} holds {value!r}, not named parts: name another column in the task's reader")
    return cast(Row, value)


def answered(fields: Mapping[str, str], answers: Sequence[str]) -> Parsed | None:
    """A free answer: the first of `answers` is the target, the others are as right; None where there is none."""
    different = tuple(dict.fromkeys(filter(None, answers)))
    return Parsed(fields, (), different[0], different[1:]) if different else None


def label(row: Row, column: str, classes: int) -> int | None:
    """A class label; None for -1 or null, the hub's mark of a row without gold label.

    Raises KeyError for a missing column, TaskError for anything but a whole number below `classes`.
    """
    value = row[column]
    if value is None or value == -1:
        return None
    if not isinstance(value, int) or not 0 <= value < classes:
        raise TaskError(f"column {column} holds {value!r}, not a label from 0 to {classes - 1}")
    return value


@dataclass(frozen=True)
class Labelled:
    """A reader of rows with a class label; made by `labelled`."""

    column: str
    names: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]

    def __call__(self, row: Row) -> Parsed | None:
        fields = {name: text(row, column) for name, column in self.fields}
        gold = label(row, self.column, len(self.names))
        return None if gold is None else Parsed(fields, self.names, self.names[gold])


def labelled(column: str, names: Sequence[str], fields: Mapping[str, str]) -> Labelled:
    """A reader of rows with a class label in `column`; `names` words the classes in the order of their numbers.

    `fields` maps what the templates name to the columns that hold it. The options are `names`, for every row.
    """
    return Labelled(column, tuple(names), tuple(fields.items()))


@dataclass(frozen=True)
class Lettered:
    """A reader of questions whose choices have letters or numbers, of which the column answerKey names one."""

    question: str
    """The column of the question."""

    def __call__(self, row: Row) -> Parsed | None:
        choices = part(row, "choices")
        options, letters = texts(choices, "text"), texts(choices, "label")
        gold = text(row, "answerKey")
        if not gold:
            return None
        if gold not in letters:
            raise TaskError(f"column answerKey holds {gold!r}, which is none of the letters {', '.join(letters)}")
        # Upstream repeats a choice in a few rows: shown once, it is one option.
        target = options[letters.index(gold)]
        return Parsed({"question": text(row, self.question)}, tuple(dict.fromkeys(options)), target)
