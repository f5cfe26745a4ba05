"""Agreement of the two sides item by item, summed up for the report: by task, and over all pairs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

ALPHA = 0.05
BINS = 10
_COUNTS = ("both", "only_y", "only_x", "neither")


class Spread(NamedTuple):
    """How a coefficient is distributed over pairs: quartiles, and all values; None where no pair has one."""

    low: float | None
    median: float | None
    high: float | None
    values: tuple[float, ...]

    @property
    def thinned(self) -> list[float]:
        """The values to two decimals, each once: more cannot be told apart in the drawing."""
        return sorted({round(value, 2) for value in self.values})


class TaskAgreement(NamedTuple):
    """One task over its pairs; shares are of items, `improved` and `worsened` count pairs after Holm."""

    task: str
    pairs: int
    both: float
    only_y: float
    only_x: float
    neither: float
    phi: Spread
    kappa: Spread
    tetrachoric: Spread
    improved: int
    worsened: int


def by_task(table: pa.Table | None) -> list[TaskAgreement]:
    """Tasks with agreement, the largest median phi first, and "all tasks" before them; empty without a table."""
    if table is None or not table.num_rows:
        return []
    rows: list[dict[str, Any]] = table.to_pylist()
    tasks = [_line(task, [r for r in rows if r["task"] == task]) for task in sorted({r["task"] for r in rows})]
    lowest = -2.0  # below any coefficient: tasks without one come last
    tasks.sort(key=lambda line: (-(lowest if line.phi.median is None else line.phi.median), line.task))
    return [_line("all tasks", rows), *tasks]


class Margin(NamedTuple):
    """A tenth of all items by the base model's margin: its middle in nats, items, and the share right on each side."""

    middle: float
    items: int
    x: float
    y: float


def margins(table: pa.Table | None) -> list[Margin]:
    """Tenths of the items by the base's margin for the right option; empty where no item has one.

    The margin is the log-likelihood of the right option less that of the best wrong one, so the base model's own choice
    is right where it is above 0; ties between tenths go to the lower one.
    """
    if table is None:
        return []
    margin, x, y = (np.array(table[name].to_pylist(), np.float64) for name in ("x_margin", "x", "y"))
    given = np.isfinite(margin) & np.isfinite(x) & np.isfinite(y)
    margin, x, y = margin[given], x[given], y[given]
    if len(margin) < BINS:
        return []
    place = np.searchsorted(np.quantile(margin, np.arange(1, BINS) / BINS), margin)
    parts = [place == number for number in range(BINS)]
    return [
        Margin(float(np.median(margin[p])), int(p.sum()), float(x[p].mean()), float(y[p].mean()))
        for p in parts
        if p.any()
    ]


def _line(task: str, rows: Sequence[dict[str, Any]]) -> TaskAgreement:
    items = sum(row["n"] for row in rows) or 1
    both, only_y, only_x, neither = (sum(r[name] for r in rows) / items for name in _COUNTS)
    phi, kappa, tetrachoric = (_spread([row[name] for row in rows]) for name in ("phi", "kappa", "tetrachoric"))
    clear = [row["only_y"] - row["only_x"] for row in rows if row["p_holm"] is not None and row["p_holm"] < ALPHA]
    improved, worsened = sum(d > 0 for d in clear), sum(d < 0 for d in clear)
    return TaskAgreement(
        task, len(rows), both, only_y, only_x, neither, phi, kappa, tetrachoric, improved, worsened
    )  # fmt: skip


def _spread(values: Sequence[float | None]) -> Spread:
    given = sorted(value for value in values if value is not None and np.isfinite(value))
    if not given:
        return Spread(None, None, None, ())
    low, median, high = (float(q) for q in np.quantile(given, [0.25, 0.5, 0.75]))
    return Spread(low, median, high, tuple(given))
