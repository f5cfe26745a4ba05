"""Correlations for a terminal: one line a level, the predictor beside its rival, notes below."""

import pyarrow as pa
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.analysis.answer import Row, bounds, find, number, rows_of, units
from app.analysis.vocabulary import LEVEL_NAMES, SHORT


def correlation_lines(correlations: pa.Table, *, filter: str = "all", method: str = "pearson") -> Group:  # noqa: A002 - the column's name
    """One subset and method (pearson, spearman, kendall) with intervals; the primary level first."""
    rows = rows_of(correlations)
    main = find(rows, "pooled", method, filter=filter)
    delta = find(rows, "pooled", f"{method}-delta", filter=filter)
    rival = delta.x.split(" - ")[1] if delta else ""
    notes: list[str] = []
    shown = Table(title=f"{method}, {filter}", title_justify="left", box=None)
    shown.add_column("level")
    shown.add_column(SHORT.get(main.x, main.x) if main else "predictor", justify="right")
    if rival:
        shown.add_column(SHORT.get(rival, rival), justify="right")
        shown.add_column("difference", justify="right")
    shown.add_column("n", justify="right")
    shown.add_column(f"{units(row.interval for row in rows)[1]} x tasks", justify="right")
    for level, name in LEVEL_NAMES.items():
        row = find(rows, level, method, filter=filter)
        if row is None:
            continue
        line = [name, _cell(row)]
        if rival:
            line += [
                _cell(find(rows, level, method, filter=filter, x=rival)),
                _cell(find(rows, level, f"{method}-delta", filter=filter), signed=True),
            ]
        if row.note and row.note not in notes:
            notes.append(row.note)
        mark = f" ({notes.index(row.note) + 1})" if row.note else ""
        shown.add_row(*line, str(row.n), f"{row.n_clusters} x {row.n_tasks}{mark}")
    return Group(shown, *(Text(f"({number}) {note}") for number, note in enumerate(notes, 1)))


def _cell(row: Row | None, *, signed: bool = False) -> str:
    return "–" if row is None else f"{number(row.estimate, signed=signed)} {bounds(row, signed=signed)}".rstrip()
