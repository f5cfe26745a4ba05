"""Two studies side by side, for the terminal and as JSON."""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.analysis.answer import number
from app.analysis.changed_cells import Changes
from app.analysis.compare import Comparison, Estimate, Moved
from app.analysis.vocabulary import LEVEL_NAMES, UNITS

_SHOWN = 10  # changed scores, or pairs of one study alone, that are listed


def render(found: Comparison) -> RenderableType:
    """The whole comparison: what follows first, then the numbers."""
    parts: list[RenderableType] = [Text(line, "bold") for line in found.sentences]
    parts += [Text(f"A  {found.a}", "dim"), Text(f"B  {found.b}", "dim")]
    for name, (a, b) in found.settings.items():
        parts.append(Text(f"{name} differs: {_short(a)} in A, {_short(b)} in B", "yellow"))
    parts += [_moved(found), *_notes(found), _changes(found), *_cells(found)]
    for side, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            parts.append(Text(f"{len(only):,} pairs only in {side}: {'; '.join(only[:3])}{_more(only, 3)}"))
    return Group(*parts)


def as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as plain objects; what is not a number is null."""
    plain = {name: _plain(value) for name, value in found._asdict().items() if name != "shape"}
    return plain | dict(zip(("runs", "tasks", "clusters"), found.shape, strict=True))


def _moved(found: Comparison) -> Table:
    runs, tasks, clusters = found.shape
    shown = Table(
        title=f"Pearson's r and delta, few-shot less zero-shot; difference on the {runs} runs x {tasks} tasks of both "
        f"({clusters} {UNITS[found.cluster_by][clusters != 1]})",
        title_justify="left",
        box=None,
    )
    for name in ("level", "", "A", "B", "B − A", "p"):
        shown.add_column(name, justify="left" if name in ("level", "") else "right")
    for one in found.moved:
        if one.statistic == "r" or one.difference is not None:
            signed = one.statistic != "r"
            own = (_estimate(one.a, signed=signed), _estimate(one.b, signed=signed))
            shown.add_row(LEVEL_NAMES[one.level], one.statistic, *own, _difference(one), _p(one.p_value))
    return shown


def _notes(found: Comparison) -> list[Text]:
    return [Text(note, "dim") for note in dict.fromkeys(one.note for one in found.moved if one.note)][:3]


def _changes(found: Comparison) -> Table:
    shown = Table(title="Scores that both have, fractions", title_justify="left", box=None)
    for name in ("side", "scores", "mean change", "largest", "> 2 errors", "after Holm", "where the largest is"):
        shown.add_column(name, justify="left" if name in ("side", "where the largest is") else "right")
    for one in found.changes:
        sure = sum(cell.p_holm < 0.05 for cell in one.beyond)
        mean = number(one.mean, signed=True)
        counts = (str(len(one.beyond)), str(sure)) if one.tested else ("–", "–")
        shown.add_row(one.name, f"{one.scores:,}", mean, number(one.largest), *counts, Text(one.largest_at))
    return shown


def _cells(found: Comparison) -> list[Text]:
    cells = sorted((cell for one in found.changes for cell in one.beyond), key=lambda cell: -abs(cell.errors))
    names = {one.side: one.name for one in found.changes}
    lines = [
        Text(
            f"  {names[cell.side]}, {cell.model}, {cell.task}: {number(cell.a)} to {number(cell.b)} "
            f"({number(cell.errors, signed=True)} errors, Holm's p {_p(cell.p_holm)})"
        )
        for cell in cells[:_SHOWN]
    ]
    return [
        *lines,
        *([Text(f"  and {len(cells) - _SHOWN} more", "dim")] if len(cells) > _SHOWN else []),
        *_alien(found),
    ]


def _alien(found: Comparison) -> list[Text]:
    def told(one: Changes) -> str:
        other = "another metric, chance level or best value"
        return f"{one.other_metric:,} {one.name} scores have {other} and are not compared"

    return [Text(told(one), "yellow") for one in found.changes if one.other_metric]


def _p(value: float | None) -> str:
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def _estimate(one: Estimate, *, signed: bool) -> str:
    if one.ci_low is None:
        return number(one.estimate, signed=signed)
    low, high = number(one.ci_low, signed=signed), number(one.ci_high, signed=signed)
    return f"{number(one.estimate, signed=signed)} [{low}, {high}]"


def _difference(one: Moved) -> str:
    if one.ci_low is None:
        return number(one.difference, signed=True)
    return (
        f"{number(one.difference, signed=True)} [{number(one.ci_low, signed=True)}, {number(one.ci_high, signed=True)}]"
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _more(listed: list[str], shown: int) -> str:
    return f" and {len(listed) - shown:,} more" if len(listed) > shown else ""


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}  # type: ignore[attr-defined]
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
