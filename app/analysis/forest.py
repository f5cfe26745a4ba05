"""A forest plot as rows of a table: a label, the numbers as text, and the interval as a bar to the same scale.

Numbers stay text, so that the plot can be read aloud, copied and printed; only the bar is a drawing.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.analysis.answer import Row, bounds, find, main_filter, number
from app.analysis.vocabulary import FLOOR_FILTER, INTACT_FILTER, LEVEL_NAMES, SHORT, Level

WIDTH = 1000.0


_READABLE = {
    "role=tune": "tasks meant for tuning",
    "role=develop": "tasks meant for development",
    "role=evaluate": "tasks meant for evaluation",
    "tuned_on=true": "tasks tuned on",
    "tuned_on=false": "tasks held out from tuning",
    INTACT_FILTER: "base models that lack no task",
    "all": "all",
    FLOOR_FILTER: "normal scores, tasks away from the floor",
}


class Bar(NamedTuple):
    """Positions from 0 to `WIDTH`; None where there is no estimate or no interval."""

    at: float | None
    low: float | None
    high: float | None


class Line(NamedTuple):
    """One row of the forest; `group` starts a new block, `kind` is x, z or delta."""

    group: str
    label: str
    kind: str
    estimate: str
    interval: str
    n: str
    note: str
    bar: Bar


class Forest(NamedTuple):
    """Lines and the ticks of their common scale: (position, label)."""

    lines: list[Line]
    zero: float
    ticks: list[tuple[float, str]]


def by_level(rows: Sequence[Row]) -> Forest:
    """The answer's subset: every level, the predictor, its rival and their difference."""
    chosen: list[tuple[str, str, str, Row]] = []
    for level, name in LEVEL_NAMES.items():
        chosen += [(name, *rest) for rest in _three(rows, level, main_filter(rows))]
    return _forest(chosen)


def by_subset(rows: Sequence[Row]) -> Forest:
    """The doubly centred correlation of the predictor: in subsets, and with each family left out."""
    chosen: list[tuple[str, str, str, Row]] = []
    subset = main_filter(rows)
    prefix = "" if subset == "all" else f"{subset},"
    for filter_ in dict.fromkeys(row.filter for row in rows):
        group = _group(filter_.removeprefix(prefix))
        if not group or (not filter_.startswith(prefix) and filter_ not in ("all", subset, FLOOR_FILTER)):
            continue
        wanted = ("delta",) if filter_ == FLOOR_FILTER else ("x",)
        three = _three(rows, "doubly_centred", filter_, "normal-scores" if filter_ == FLOOR_FILTER else "pearson")
        name = _subset(filter_.removeprefix(prefix))
        for label, kind, row in three:
            if kind in wanted:
                chosen.append((group, name if kind == "x" else f"{label}, {name}", kind, row))
    order = ("all pairs", "tasks", "without one family", "one family", "check")
    return _forest(sorted(chosen, key=lambda c: order.index(c[0])))


def _group(filter_: str) -> str:
    name = filter_.split("=")[0]
    groups = {"all": "all pairs", "role": "tasks", "tuned_on": "tasks", "bases": "all pairs"}
    groups |= {"family!": "without one family", "family": "one family", FLOOR_FILTER: "check"}
    return groups.get(name, "")


def _subset(filter_: str) -> str:
    name, _, value = filter_.partition("=")
    return _READABLE.get(filter_, f"without {value}" if name == "family!" else value)


def _three(rows: Sequence[Row], level: Level, filter_: str, method: str = "pearson") -> Iterable[tuple[str, str, Row]]:
    delta = find(rows, level, f"{method}-delta", filter=filter_)
    main = find(rows, level, method, filter=filter_)
    if main is not None:
        yield SHORT.get(main.x, main.x), "x", main
    if delta is not None:
        z = delta.x.split(" - ")[1]
        rival = find(rows, level, method, filter=filter_, x=z)
        if rival is not None:
            yield SHORT.get(z, z), "z", rival
        yield "difference", "delta", delta


def _forest(chosen: Sequence[tuple[str, str, str, Row]]) -> Forest:
    ends = [end for *_, row in chosen for end in (row.estimate, row.ci_low, row.ci_high) if end is not None]
    # In tenths, as whole numbers: the ticks fall on round values.
    low = min([-1, *(int(end * 10 // 1) for end in ends)])
    high = max([10, *(-int(-end * 10 // 1) for end in ends)])
    scale = WIDTH / (high - low)

    def place(value: float | None) -> float | None:
        return None if value is None else round((value * 10 - low) * scale, 1)

    lines: list[Line] = []
    before = ("", "")
    for group, label, kind, row in chosen:
        signed = kind == "delta"
        text = (number(row.estimate, signed=signed), bounds(row, signed=signed))
        clusters, tasks = ("" if count == 1 else "s" for count in (row.n_clusters, row.n_tasks))
        shape = f"{row.n:,} pairs: {row.n_clusters} cluster{clusters} × {row.n_tasks} task{tasks}"
        bar = Bar(place(row.estimate), place(row.ci_low), place(row.ci_high))
        # What a line rests on is said once, until it changes.
        same = bool(lines) and before == (shape, row.note)
        before = (shape, row.note)
        lines.append(Line(group, label, kind, *text, "" if same else shape, "" if same else row.note, bar))
    step = 2 if high - low <= 14 else 5
    first = -(-low // step) * step
    ticks = [(round((t - low) * scale, 1), number(t / 10).replace(".00", "")) for t in range(first, high + 1, step)]
    return Forest(lines, round(-low * scale, 1), ticks)
