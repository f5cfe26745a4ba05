"""What would change the answer: each check that the statistics allow, whether it holds, and where it is weakest.

A check `holds` where what it gives leads to the same answer, is `open` where it does not, and is `unknown` where
this study cannot make it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from app.analysis.answer import Row, bounds, direction, find, main_filter, number
from app.analysis.estimation.refusals import MIN_CLUSTERS
from app.analysis.vocabulary import FLOOR_FILTER
from app.grammar import counted

_MANY = 0.05  # of all pairs
Standing = Literal["holds", "open", "unknown"]


class Change(NamedTuple):
    """One check: its name, whether the answer stands it, and what it found."""

    name: str
    standing: Standing
    said: str


def changes(
    rows: Sequence[Row], finished: int, planned: int, power: str = "", limits: pa.Table | None = None
) -> list[Change]:
    """The checks of the primary estimate, `limits` being the table of that name; empty where there is no estimate."""
    main = find(rows, "doubly_centred", filter=main_filter(rows))
    if main is None or main.estimate is None:
        return []
    made = [*_families(rows, main), *_resampled(main), *_noise(rows, main), *_scale(rows, main), *_floor(rows, main)]
    made += _pretraining(limits.to_pylist() if limits is not None else [])
    if finished < planned:
        share = (planned - finished) / planned
        text = "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"
        lost = f"{planned - finished:,} of {planned:,} pairs ({text}) are missing and may differ from the rest."
        made.append(Change("Missing pairs", "open" if share > _MANY else "unknown", lost))
    if power:
        made.append(Change("Size of the study", "unknown", power))
    return made


def _families(rows: Sequence[Row], main: Row) -> Iterator[Change]:
    prefix = "" if main.filter == "all" else f"{main.filter},"
    without = [
        row
        for row in rows
        if row.filter.startswith(f"{prefix}family!=")
        and (row.level, row.method, row.x) == (main.level, main.method, main.x)
    ]
    given = sorted((row.estimate, row) for row in without if row.estimate is not None)
    if not without:
        yield Change("Other families", "unknown", "All base models are of one family: nothing is known of others.")
        return
    if not given:
        said = "Whichever family is left out, too little remains for an estimate: nothing is known of others."
        yield Change("Other families", "unknown", said)
        return
    (low, weakest), (high, _) = given[0], given[-1]
    name = weakest.filter.split("!=")[1]
    said = f"Without any one family r stays between {number(low)} and {number(high)}, lowest without {name}"
    if main.n_clusters < MIN_CLUSTERS or main.ci_low is None:
        yield Change("Other families", "unknown", f"{said}; too few to say what holds for others.")
        return
    if any(row.ci_low is None for _, row in given):
        yield Change("Other families", "unknown", f"{said}; what is left then is too little for an interval.")
        return
    other = {row.filter.split("!=")[1]: _side(row) for _, row in given if _side(row) != _side(main)}
    verdict = "excludes 0" if not _side(main) else "says otherwise" if any(other.values()) else "holds 0"
    named = f"; without {', '.join(other)} the interval {verdict}" if other else ""
    yield Change("Other families", "open" if other or low * high < 0 else "holds", f"{said}{named}.")


def _resampled(main: Row) -> Iterator[Change]:
    if main.boot_low is not None and main.boot_high is not None:
        same = main.ci_low is not None and _side(main) == direction(main.boot_low, main.boot_high)
        said = (
            f"The two-way bootstrap gives {number(main.boot_low)} to {number(main.boot_high)}"
            f"{'' if same else ', which does not say the same as the interval above'}."
        )
        yield Change("Another interval", "holds" if same else "open", said)
    if main.p_permutation is not None:
        clear = main.p_permutation < 0.05
        said = f"Permutations that respect families give p {_p(main.p_permutation)}."
        yield Change("Chance alone", "holds" if clear == bool(_side(main)) else "open", said)


def _noise(rows: Sequence[Row], main: Row) -> Iterator[Change]:
    corrected = find(rows, main.level, "pearson-corrected", filter=main.filter, x=main.x)
    corrected = corrected or find(rows, main.level, "pearson-corrected", x=main.x)
    if corrected is None:
        said = "No answers to single items are at hand, so what noise of the items takes from r is not known."
        yield Change("More items", "unknown", said)
    elif corrected.estimate is None:
        yield Change("More items", "unknown", f"r cannot be corrected for item noise: {corrected.note.split(';')[0]}.")
    else:
        said = f"Without the noise of few items r would be {number(corrected.estimate)} {bounds(corrected)}".rstrip()
        yield Change("More items", "holds" if corrected.estimate * (main.estimate or 0) > 0 else "open", f"{said}.")


def _scale(rows: Sequence[Row], main: Row) -> Iterator[Change]:
    normal = find(rows, main.level, "normal-scores", filter=main.filter, x=main.x)
    if normal is not None and normal.estimate is not None:
        known = normal.ci_low is not None and main.ci_low is not None
        standing = "unknown" if not known else "holds" if _side(normal) == _side(main) else "open"
        said = f"On normal scores within each task, which take curvature away, r = {number(normal.estimate)}"
        yield Change("Another scale", standing, f"{said} {bounds(normal)}".rstrip() + ".")


def _floor(rows: Sequence[Row], main: Row) -> Iterator[Change]:
    delta = find(rows, main.level, "pearson-delta", filter=main.filter)
    check = find(rows, main.level, "normal-scores-delta", filter=FLOOR_FILTER)
    if delta is None or delta.ci_low is None:
        return
    if check is None or check.ci_low is None:
        said = "Too few tasks lie away from the floor to check the difference between the predictors."
        yield Change("Few-shot or zero-shot", "unknown", said)
        return
    same = _side(check) == _side(delta)
    everywhere = find(rows, main.level, "normal-scores-delta", filter=main.filter)
    said = (
        f"On normal scores few-shot less zero-shot is {number(check.estimate, signed=True)} "
        f"{bounds(check, signed=True)} over the {check.n_tasks} tasks away from the floor"
    )
    if everywhere is not None and everywhere.estimate is not None:
        said += f", {number(everywhere.estimate, signed=True)} over all"
    yield Change("Few-shot or zero-shot", "holds" if same else "open", f"{said}.")


def _pretraining(limits: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """Whether what base models never saw is lacking after tuning too: the same question by intervention."""
    tuned = [row for row in limits if row["family"] == "all" and row["side"] == "y"]
    if not tuned:
        return
    parts = [
        f"{100 * row['effect']:+.0f} points"
        + ("" if row["ci_low"] is None else f" [{100 * row['ci_low']:+.0f}, {100 * row['ci_high']:+.0f}]")
        + f" on {counted(len(row['tasks']), 'task')} {'tuned on' if row['tuned_on'] else 'never tuned on'}"
        for row in sorted(tuned, key=lambda row: row["tuned_on"])
    ]
    said = f"Tasks left out of pretraining change the scores of tuned models by {' and '.join(parts)}."
    if any(row["ci_high"] is None for row in tuned):
        standing = "unknown"
    else:
        standing = "holds" if all(row["ci_high"] < 0 for row in tuned) else "open"
    yield Change("Other pretraining", standing, said.replace("-", "−"))


def _side(row: Row) -> int:
    """The direction of the row's interval."""
    return direction(row.ci_low, row.ci_high)


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".", 1)
