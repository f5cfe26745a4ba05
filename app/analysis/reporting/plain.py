"""Named tuples as plain tables: headings from the field names, cells as text, numbers marked as such."""

from collections.abc import Sequence
from typing import NamedTuple, cast


class Cell(NamedTuple):
    """One cell; numbers stand to the right."""

    text: str
    right: bool


class Plain(NamedTuple):
    """A table as text."""

    headings: list[Cell]
    rows: list[list[Cell]]


def plain(rows: Sequence[NamedTuple]) -> Plain | None:
    """One line for each tuple, all of one kind; None where there are none."""
    if not rows:
        return None
    names = rows[0]._fields
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(line[at].right or line[at].text == "–" for line in cells) for at in range(len(names))]
    headings = [Cell(name.replace("_", " "), right[at]) for at, name in enumerate(names)]
    return Plain(headings, cells)


def _cell(value: object) -> Cell:
    if value is None:
        return Cell("–", False)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", False)
    if isinstance(value, int):
        return Cell(f"{value:,}", True)
    if isinstance(value, float):
        return Cell(f"{value:.3g}".replace("-", "−") if value == value else "–", True)
    if isinstance(value, tuple | list):
        return Cell(", ".join(map(str, cast(Sequence[object], value))), False)
    return Cell(str(value), False)
