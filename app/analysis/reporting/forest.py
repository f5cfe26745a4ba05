"""A forest plot as rows of a table: a label, the numbers as text, and the interval as a bar to the same scale.

Numbers stay text, so that the plot can be read aloud, copied and printed; only the bar is a drawing.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from app.analysis.answer import Row, bounds, find, main_filter, number, units
from app.analysis.vocabulary import FLOOR_FILTER, INTACT_FILTER, LEVEL_NAMES, SHORT, Level
from app.grammar import counted

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
    boot_low: float | None = None
    boot_high: float | None = None


class Line(NamedTuple):
    """One row of the forest; `group` starts a new block, `kind` is x, z, delta or corrected."""

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
        chosen += [(name, *rest) for rest in two_way(rows, level)]
    return _forest(chosen)


def two_way(rows: Sequence[Row], level: Level) -> list[tuple[str, str, Row]]:
    """Label, kind and row of the predictor, its rival and their difference, in the answer's subset."""
    return list(_three(rows, level, main_filter(rows)))


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
        name = subset_name(filter_.removeprefix(prefix))
        for label, kind, row in three:
            if kind in wanted:
                chosen.append((group, name if kind == "x" else f"{label}, {name}", kind, row))
    return _forest(sorted(chosen, key=lambda c: _GROUPS.index(c[0])))


def by_task(rows: Sequence[Row]) -> Forest:
    """Pearson's r over the models of each task, the largest first; tasks without an estimate last."""
    chosen = [
        ("tasks", row.filter.removeprefix("task="), "x", row)
        for row in rows
        if row.filter.startswith("task=") and (row.level, row.method) == ("pooled", "pearson") and row.x in SHORT
    ]
    first = {label: row.x for _, label, _, row in reversed(chosen)}
    chosen = [line for line in chosen if line[3].x == first[line[1]]]
    return _forest(sorted(chosen, key=lambda line: (-(line[3].estimate or -2.0), line[1])))


def corrected(rows: Sequence[Row]) -> Forest:
    """Raw coefficients beside those corrected for item noise, in the answer's subset; empty without any."""
    chosen: list[tuple[str, str, str, Row]] = []
    subset = main_filter(rows)
    for row in rows:
        if not row.method.startswith("pearson-corrected") or row.filter != subset:
            continue
        group = LEVEL_NAMES.get(cast(Level, row.level), row.level)
        name = "difference" if row.method.endswith("-delta") else SHORT.get(row.x, row.x)
        raw = find(rows, row.level, row.method.replace("-corrected", ""), filter=row.filter, x=row.x)
        kind = "delta" if name == "difference" else "x" if row.x == rows[0].x else "z"
        if raw is not None:
            chosen.append((group, name, kind, raw._replace(note="")))
        chosen.append((group, f"{name}, corrected", "corrected", row))
    return _forest(sorted(chosen, key=lambda line: list(LEVEL_NAMES.values()).index(line[0])))


_GROUPS = (
    "all pairs", "tasks", "clusters of tasks", "recipes", "mixtures", "wordings", "without one family", "one family",
    "check",
)  # fmt: skip


def _group(filter_: str) -> str:
    name = filter_.split("=")[0]
    groups = {"all": "all pairs", "role": "tasks", "tuned_on": "tasks", "bases": "all pairs"}
    groups |= {"cluster": "clusters of tasks", "recipe": "recipes", "mixture": "mixtures", "wording": "wordings"}
    groups |= {"family!": "without one family", "family": "one family", FLOOR_FILTER: "check"}
    return groups.get(name, "")


def subset_name(filter_: str) -> str:
    """How a filter of the table "correlations" reads, without what says that it is of intact base models."""
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


class Scale(NamedTuple):
    """The common scale of a forest, in tenths as whole numbers: its ticks fall on round values."""

    low: int
    high: int

    def place(self, value: float | None) -> float | None:
        """The position of a value, 0 to `WIDTH`."""
        return None if value is None else round((value * 10 - self.low) * WIDTH / (self.high - self.low), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels."""
        return [(self.place(t / 10) or 0.0, number(t / 10).replace(".00", "")) for t in self.tenths]

    @property
    def tenths(self) -> range:
        """Where ticks stand, in tenths."""
        step = 2 if self.high - self.low <= 14 else 5
        return range(-(-self.low // step) * step, self.high + 1, step)


def scale(ends: Iterable[float | None], low: int = -1, high: int = 10) -> Scale:
    """The smallest scale that holds all `ends`, and at least `low` to `high` tenths."""
    given = [end for end in ends if end is not None]
    return Scale(min([low, *(int(e * 10 // 1) for e in given)]), max([high, *(-int(-e * 10 // 1) for e in given)]))


def _forest(chosen: Sequence[tuple[str, str, str, Row]]) -> Forest:
    measured = scale(end for *_, r in chosen for end in (r.estimate, r.ci_low, r.ci_high, r.boot_low, r.boot_high))
    lines: list[Line] = []
    before = ("", "")
    unit = units(row.interval for *_, row in chosen)
    for group, label, kind, row in chosen:
        signed = kind == "delta" or row.method.endswith("-delta")
        text = (number(row.estimate, signed=signed), bounds(row, signed=signed))
        shape = f"{row.n:,} pairs: {row.n_clusters} {unit[row.n_clusters != 1]} × {counted(row.n_tasks, 'task')}"
        bar = Bar(*(measured.place(v) for v in (row.estimate, row.ci_low, row.ci_high, row.boot_low, row.boot_high)))
        # What a line rests on is said once, until it changes.
        same = bool(lines) and before == (shape, row.note)
        before = (shape, row.note)
        lines.append(Line(group, label, kind, *text, "" if same else shape, "" if same else row.note, bar))
    return Forest(lines, measured.place(0) or 0.0, measured.ticks)
