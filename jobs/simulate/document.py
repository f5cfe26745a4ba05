"""docs/coverage.md and coverage.json beside it: what the simulated experiments of all cases came to."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from app.analysis.design.worlds import World
from app.analysis.vocabulary import LEVEL_NAMES, LEVELS
from jobs.simulate.experiment import DRAWS
from jobs.simulate.tally import Covered, Rate, Tally

COVERED = (0.92, 0.98)
"""Within these jack2 is to cover, doubly centred."""
CLAIMED = 0.06
"""At most so often may a difference be claimed that is none."""
_ERRORS = 2
"""A bound is missed where a share lies beyond it by more than so many Monte-Carlo standard errors."""


class Bound(NamedTuple):
    """What was asked of a figure, and whether it is kept."""

    what: str
    share: float
    error: float
    low: float
    high: float
    coverage: bool
    """Of an interval: above its bounds it is only wider than need be."""
    promised: bool = True
    """Asked of the report's primary figures; else told, so that nobody relies on what is not so."""

    @property
    def kept(self) -> bool:
        """Within the bounds, or beyond them by no more than chance explains."""
        slack = _ERRORS * self.error
        return self.low - slack <= self.share <= self.high + slack

    @property
    def safe(self) -> bool:
        """Kept, or missed on the side of caution."""
        return self.kept or (self.coverage and self.share > self.high)

    @property
    def sentence(self) -> str:
        """For the document."""
        said = f"{self.what}: {_percent(self.share)} ± {100 * self.error:.1f}"
        within = self.low <= self.share <= self.high
        asked = f"{100 * self.low:.0f} to {100 * self.high:.0f} %"
        missed = "**deviates, conservative: wider than need be**" if self.safe else "**missed**"
        return f"{said}; asked {asked}: {'kept' if within else 'kept within error' if self.kept else missed}"


def bounds(found: Sequence[Tally]) -> list[Bound]:
    """What the report promises: jack2's coverage doubly centred, and differences claimed that are none."""
    made: list[Bound] = []
    for one in found:
        if one.case.part == "coverage":
            for statistic, name in (("r", "r"), ("delta", "the difference")):
                row = one.find("jack2", statistic, "doubly_centred")
                if row:
                    what = f"{one.case.name}, jack2 of {name}, doubly centred"
                    made.append(Bound(what, row.coverage, row.error, *COVERED, coverage=True))
        claimed = one.rate("claimed")
        if claimed:
            what = f"{one.case.name}, difference claimed that is none"
            made.append(Bound(what, claimed.rate, claimed.error, 0.0, CLAIMED, coverage=False))
    return made


def deviations(found: Sequence[Tally]) -> list[Bound]:
    """Intervals of all levels, designs and statistics that cover less, or more, than `COVERED` beyond chance."""
    made: list[Bound] = []
    for one in found:
        for row in one.covered:
            if row.method != "jack2" or one.case.part == "checkpoints":
                continue
            missing = f", {one.case.missing:.0%} missing" if one.case.missing else ""
            what = f"{one.case.name.partition(',')[0]}{missing}, {row.statistic}, {LEVEL_NAMES[row.level]}"
            bound = Bound(what, row.coverage, row.error, *COVERED, coverage=True, promised=False)
            if not bound.kept:
                made.append(bound)
    return sorted(made, key=lambda bound: bound.share)


def _deviations(found: Sequence[Tally]) -> list[str]:
    made = deviations(found)
    sides = {"Narrower than asked": [b for b in made if not b.safe], "Wider than asked": [b for b in made if b.safe]}
    return [f"- {side}: {'; '.join(_gathered(mine)) or 'none'}." for side, mine in sides.items()]


def _gathered(made: Sequence[Bound]) -> list[str]:
    """One text for what deviates in several worlds."""
    shares: dict[str, list[str]] = {}
    for one in made:
        shares.setdefault(one.what, []).append(_percent(one.share))
    return [
        f"{what} {' to '.join(dict.fromkeys((own[0], own[-1])))}" + (f" in {len(own)} worlds" if len(own) > 1 else "")
        for what, own in shares.items()
    ]


def text(found: Sequence[Tally], command: str, date: str) -> str:
    """The document in Markdown."""
    parts = {name: [one for one in found if one.case.part == name] for name in _PARTS}
    count = max(one.experiments for one in found)
    lines = ["# Coverage and errors, simulated", "", *_opening(found, count, command, date), ""]
    lines += ["## What was asked", "", *(f"- {one.sentence}" for one in bounds(found)), ""]
    lines += ["## Where intervals deviate", "", *_DEVIATE, "", *_deviations(found), ""]
    for name, (title, said) in _PARTS.items():
        if parts[name]:
            lines += [f"## {title}", "", said, "", *_TABLES[name](parts[name]), ""]
    return "\n".join(lines)


def data(found: Sequence[Tally], command: str, date: str) -> str:
    """The same as JSON: shares, not per cent."""
    made = [
        {
            "part": one.case.part,
            "name": one.case.name,
            "design": asdict(one.case.design),
            "world": asdict(one.case.world),
            "missing": one.case.missing,
            "experiments": one.experiments,
            "kept": one.kept,
            "intervals": [row._asdict() for row in one.covered],
            "tests": [row._asdict() for row in one.rates],
        }
        for one in found
    ]
    return json.dumps({"date": date, "command": command, "cases": made}, indent=1) + "\n"


def write(found: Sequence[Tally], out: Path, command: str, date: str) -> None:
    """Both files."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text(found, command, date))
    out.with_suffix(".json").write_text(data(found, command, date))


def _opening(found: Sequence[Tally], count: int, command: str, date: str) -> list[str]:
    fewest = min(one.experiments for one in found)
    fewer = f" ({fewest:,} in those that take longest)" if fewest < count else ""
    return [
        f"Written by `{command}`{f' on {date}' if date else ''}; the same command gives the same figures. {count:,}",
        f"experiments in each case{fewer}: a coverage of 95 % has a standard error of {_error(0.95, count)} points,",
        f"one of 50 % {_error(0.5, count)}.",
        "",
        "Scores are made on the logit scale from effects of tasks, models and both together, which few-shot (x),",
        "zero-shot (z) and tuned (y) scores share as far as given correlations say; families share a part of them,",
        "items are the same for all models, and tasks have chance levels. `app/analysis/design/worlds.py` has the",
        "world and its figures; real studies may differ. Shares are per cent; the nominal coverage is 95, of tests 5.",
    ]


def _error(share: float, count: int) -> str:
    return f"{100 * (share * (1 - share) / count) ** 0.5:.1f}"


def _coverage(found: Sequence[Tally]) -> list[str]:
    head = [
        "design",
        "method",
        *(LEVEL_NAMES[level] for level in LEVELS),
        "difference, primary",
        "half-widths, primary",
    ]
    rows: list[list[str]] = []
    for one in found:
        for method in ("jack2", "pigeonhole"):
            cells = [one.find(method, "r", level) for level in LEVELS]
            if not any(cells):
                continue
            delta = one.find(method, "delta", "doubly_centred")
            widths = [one.find(method, statistic, "doubly_centred") for statistic in ("r", "delta")]
            shown = " / ".join("–" if row is None else f"{row.half_width:.3f}" for row in widths)
            rows.append([_named(one), method, *map(_share, cells), _share(delta), shown])
    return _table(head, rows)


def _further(found: Sequence[Tally]) -> list[str]:
    head = ["design", "statistic", "level", "true", "coverage", "half-width", "studies with an interval"]
    rows = [
        [
            _named(one),
            row.statistic,
            LEVEL_NAMES[row.level],
            f"{row.truth:.3f}",
            f"{_percent(row.coverage)} ± {100 * row.error:.1f}",
            f"{row.half_width:.3f}",
            _percent(row.defined),
        ]
        for one in found
        for row in one.covered
    ]
    return _table(head, rows)


def _difference(found: Sequence[Tally]) -> list[str]:
    tests = ("jack2, pooled", "jack2", "swap", "claimed")
    head = [
        "design",
        "true difference",
        "jack2, pooled",
        "jack2, primary",
        "swap test, primary",
        "claimed by the report",
    ]
    rows: list[list[str]] = []
    for one in found:
        row = one.find("jack2", "delta", "doubly_centred")
        true = f"{row.truth:+.3f}" if row else "–"
        rows.append([_named(one), true, *(_rate(one.rate(test)) for test in tests)])
    return _table(head, rows)


def _permutation(found: Sequence[Tally]) -> list[str]:
    tests = [f"{test}, {level}" for level in ("within_task", "doubly_centred") for test in ("jack2", "permutation")]
    head = ["design", *(test.replace("_", " ") for test in tests)]
    return _table(head, [[_named(one), *(_rate(one.rate(test)) for test in tests)] for one in found])


def _missing(found: Sequence[Tally]) -> list[str]:
    head = ["design", "cells kept", "studies with an interval", "r, primary", "difference, primary", "half-widths"]
    rows: list[list[str]] = []
    for one in found:
        both = [one.find("jack2", statistic, "doubly_centred") for statistic in ("r", "delta")]
        defined = _percent(both[0].defined) if both[0] else "0"
        widths = " / ".join("–" if row is None else f"{row.half_width:.3f}" for row in both)
        rows.append([_named(one), _percent(one.kept), defined, *map(_share, both), widths])
    return _table(head, rows)


def _named(one: Tally) -> str:
    design = one.case.design
    families = len({base.family for base in design.bases})
    shape = f"{families} families, {len(design.models)} bases, {len(design.runs)} tuned models x {design.tasks} tasks"
    return f"{one.case.name} ({shape}, {design.items} items, by {design.cluster_by})"


def _share(row: Covered | None) -> str:
    return "–" if row is None else _percent(row.coverage)


def _rate(row: Rate | None) -> str:
    return "not possible" if row is None else _percent(row.rate)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


_DEVIATE = (
    "All of jack2's intervals in this document but those of checkpoints, at every level: shares that lie outside 92 to",
    "98 % by more than two Monte-Carlo standard errors. Where base models of one family are taken for independent, the",
    "report gives no interval within tasks and of means of models, since those are too narrow; they stand here all the",
    "same. A wider interval errs on the side of caution, and costs power.",
)
_PARTS = {
    "coverage": (
        "Coverage of 95 % intervals",
        "Few-shot is the better predictor. Primary: task and model means removed. The bootstrap's limits are "
        f"percentiles of {DRAWS} two-way draws.",
    ),
    "further": (
        "Ranks, normal scores, partial correlations, concordance, components",
        "jack2's intervals, without the block term but for the difference of normal scores. Components of base models, "
        "noise of items inside. A partial correlation holds zero-shot scores fixed.",
    ),
    "items": (
        "Coefficients corrected for the noise of items",
        "From the answers to single items, by cross-half products; studies whose coefficient the report would refuse "
        "(a reliability below .4, an interval wider than .6) have no interval.",
    ),
    "difference": (
        "Differences found where there is none",
        "Few-shot and zero-shot are equally good on the logit scale. Claimed: jack2's interval of the difference "
        "excludes 0 and so does that of normal scores over tasks away from the floor, on the same side.",
    ),
    "permutation": (
        "Correlations found where there is none",
        "Models' strengths, and what they have for single tasks, are independent between x and y.",
    ),
    "missing": (
        "Missing cells",
        "Cells are missing at random; effects of runs and tasks are those of least squares over the cells that are "
        "there. Studies that are left with too few runs or tasks that vary have no interval.",
    ),
    "checkpoints": (
        "Checkpoints of one run",
        f"Effects of a checkpoint go on from those of the one before it, at a correlation of {World().serial:g}.",
    ),
}
_TABLES = {
    "coverage": _coverage,
    "further": _further,
    "items": _further,
    "difference": _difference,
    "permutation": _permutation,
    "missing": _missing,
    "checkpoints": _coverage,
}
