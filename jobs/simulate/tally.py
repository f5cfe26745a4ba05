"""Many experiments of a case, counted: coverage and widths of intervals, rates of rejection, what was kept."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.analysis.design.power import error
from app.analysis.vocabulary import Level
from jobs.simulate.case import Case
from jobs.simulate.experiment import Limits, Outcome


class Covered(NamedTuple):
    """One method's intervals for one statistic at one level."""

    method: str
    statistic: str
    level: Level
    truth: float
    coverage: float
    error: float
    """Monte-Carlo standard error of the coverage."""
    half_width: float
    """The mean of half of the interval's width."""
    defined: float
    """Share of the experiments that have an interval."""


class Rate(NamedTuple):
    """How often a test rejects at 5 %."""

    test: str
    rate: float
    error: float
    """Monte-Carlo standard error of the rate."""
    defined: float
    """Share of the experiments in which the test is possible."""


class Tally(NamedTuple):
    """A case."""

    case: Case
    experiments: int
    covered: tuple[Covered, ...]
    rates: tuple[Rate, ...]
    kept: float
    """Mean share of the cells that the estimates rest on."""

    def find(self, method: str, statistic: str, level: Level) -> Covered | None:
        """The row of an interval, if any experiment has one."""
        wanted = (method, statistic, level)
        return next((one for one in self.covered if (one.method, one.statistic, one.level) == wanted), None)

    def rate(self, test: str) -> Rate | None:
        """The row of a test, if it was possible at all."""
        return next((one for one in self.rates if one.test == test), None)


def tally(case: Case, outcomes: Sequence[Outcome], true: Mapping[tuple[str, Level], float]) -> Tally:
    """Count a case's experiments; `true` holds each statistic's value at each level in its world."""
    count = len(outcomes)
    groups: dict[tuple[str, str, Level], list[Limits]] = {}
    for outcome in outcomes:
        for one in outcome.limits:
            groups.setdefault((one.method, one.statistic, one.level), []).append(one)
    covered = [_covered(found, true[key[1:]], count) for key, found in sorted(groups.items())]
    tests = sorted({test for outcome in outcomes for test in outcome.rejected})
    rates = [_rate(test, [one.rejected[test] for one in outcomes if test in one.rejected], count) for test in tests]
    return Tally(case, count, tuple(covered), tuple(rates), float(np.mean([one.kept for one in outcomes])))


def _covered(found: Sequence[Limits], known: float, count: int) -> Covered:
    share = float(np.mean([one.low <= known <= one.high for one in found]))
    width = float(np.mean([(one.high - one.low) / 2 for one in found]))
    first = found[0]
    return Covered(
        first.method, first.statistic, first.level, known, share, error(share, len(found)), width, len(found) / count
    )


def _rate(test: str, rejected: Sequence[bool], count: int) -> Rate:
    share = float(np.mean(rejected))
    return Rate(test, share, error(share, len(rejected)), len(rejected) / count)
