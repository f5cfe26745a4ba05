"""Correlations in words: the sentence that a report opens with, and how much of it may be claimed.

The answer is the doubly centred correlation, in which neither easy tasks nor strong models count. That few-shot is the
better predictor than the base's own zero-shot is said only where the interval of the difference excludes 0 and the
check on normal scores away from the floor agrees.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa

from app.analysis.vocabulary import CONDITIONS, FLOOR_FILTER, INTACT_FILTER, UNITS


class Row(NamedTuple):
    """One row of the table "correlations"."""

    study: str
    level: str
    method: str
    x: str
    y: str
    filter: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    boot_low: float | None
    boot_high: float | None
    p_permutation: float | None
    p_holm: float | None
    q_value: float | None
    tests: str
    n: int
    n_clusters: int
    n_tasks: int
    df: float | None
    interval: str
    note: str


class Answer(NamedTuple):
    """`sentence` is the study's answer; `rival` sets it against the baseline; `picture` is a short title."""

    sentence: str
    rival: str
    picture: str


def rows_of(correlations: pa.Table) -> list[Row]:
    """The table's rows with types."""
    return [Row(**row) for row in correlations.to_pylist()]


def main_filter(rows: Sequence[Row]) -> str:
    """The subset that the answer rests on: all pairs, or intact base models where some lack tasks by design."""
    return INTACT_FILTER if any(row.filter == INTACT_FILTER for row in rows) else "all"


def units(intervals: Iterable[str]) -> tuple[str, str]:
    """What intervals treat as independent, one of it and several, by the column `interval`; clusters where none is."""
    kinds = (interval.removeprefix("jack2 by ").split(",")[0] for interval in intervals)
    return next((UNITS[kind] for kind in kinds if kind in UNITS), ("cluster", "clusters"))


def find(rows: Sequence[Row], level: str, method: str = "pearson", *, filter: str = "all", x: str = "") -> Row | None:  # noqa: A002 - the column's name
    """The row of a level, method and subset; the first predictor unless `x` is given; None where there is none."""
    for row in rows:
        if (row.level, row.method, row.filter) == (level, method, filter) and x in ("", row.x):
            return row
    return None


def number(value: float | None, *, signed: bool = False) -> str:
    """Two decimals with a true minus sign; a dash for None."""
    if value is None:
        return "–"
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return ("0.00" if text in ("-0.00", "+0.00") and not signed else text).replace("-", "−")


def bounds(row: Row, *, signed: bool = False) -> str:
    """`[low, high]`, or an empty string where there is no interval."""
    if row.ci_low is None:
        return ""
    return f"[{number(row.ci_low, signed=signed)}, {number(row.ci_high, signed=signed)}]"


def direction(low: float | None, high: float | None) -> int:
    """1 where an interval lies above 0, -1 below, 0 where it holds 0 or there is none."""
    return 0 if low is None or high is None else int(low > 0) - int(high < 0)


def answer(rows: Sequence[Row]) -> Answer:
    """The study's answer in words, from the subset that `main_filter` names."""
    main = find(rows, "doubly_centred", filter=main_filter(rows))
    if main is None or main.estimate is None:
        why = main.note.split(";")[0] if main else "there are no pairs"
        return Answer(f"There is no answer yet: {why}.", "", "No answer yet")
    x, y = CONDITIONS.get(main.x, main.x), CONDITIONS.get(main.y, main.y)
    rival = " ".join(part for part in (_rival(rows, main), _intervened(rows, main)) if part)
    removed = "with task difficulty and model strength removed"
    if main.ci_low is None or main.ci_high is None:
        reason = main.note.split(";")[0]
        sentence = f"In this study {x} and {y} correlate at r = {number(main.estimate)}, {removed}; {reason}."
        return Answer(sentence, rival, f"r = {number(main.estimate)} ({reason.split(':')[0]})")
    interval = f"r = {number(main.estimate)}, 95 % interval {number(main.ci_low)} to {number(main.ci_high)}"
    if main.ci_low <= 0 <= main.ci_high:
        title = f"It stays open whether {x} predict the {y}"
    else:
        verb = "predict" if main.ci_low > 0 else "run against"
        title = f"{x[0].upper()}{x[1:]} {verb} the {y}"
    return Answer(f"{title}: {removed}, {interval}.", rival, title)


def marked(said: Answer, finished: int, planned: int) -> Answer:
    """The answer marked as such while pairs are missing."""
    if finished >= planned:
        return said
    sentence = f"Provisional, {finished:,} of {planned:,} pairs: {said.sentence}"
    return said._replace(sentence=sentence, picture=f"Provisional: {said.picture}")


def _intervened(rows: Sequence[Row], main: Row) -> str:
    """What the pairs say that the answer leaves out, where base models lack tasks by design."""
    everything = find(rows, "doubly_centred")
    if main.filter == "all" or everything is None or everything.estimate is None:
        return ""
    r = f"r = {number(everything.estimate)} {bounds(everything)}".rstrip()
    return (
        "Left out here are base models that were pretrained without some of the tasks; with them, "
        f"{r}, because the study itself set them apart."
    )


def _rival(rows: Sequence[Row], main: Row) -> str:
    """How the baseline does, and whether the difference may be claimed."""
    delta = find(rows, "doubly_centred", "pearson-delta", filter=main.filter)
    if delta is None or delta.estimate is None:
        return ""
    z = delta.x.removeprefix(f"{main.x} - ")
    rival = find(rows, "doubly_centred", x=z, filter=main.filter)
    if rival is None or rival.estimate is None:
        return ""
    interval = f" {bounds(delta, signed=True)}" if delta.ci_low is not None else ""
    said = (
        f"The {CONDITIONS.get(z, z)} reach r = {number(rival.estimate)} {bounds(rival)}".rstrip()
        + f"; the difference is {number(delta.estimate, signed=True)}{interval}"
    )
    return f"{said}: {_claim(rows, delta)}."


def _claim(rows: Sequence[Row], delta: Row) -> str:
    if delta.ci_low is None or delta.ci_high is None:
        return "too few families, bases or tasks to say which predicts better"
    found = direction(delta.ci_low, delta.ci_high)
    if not found:
        return "this study does not tell which predicts better"
    better = "few-shot" if found > 0 else "the baseline"
    check = find(rows, "doubly_centred", "normal-scores-delta", filter=FLOOR_FILTER)
    if check is not None and direction(check.ci_low, check.ci_high) == found:
        return f"{better} predicts better, also on normal scores of tasks away from the floor"
    return (
        f"{better} looks better, but the check on normal scores of tasks away from the floor does not confirm it, "
        "so no claim is made"
    )
