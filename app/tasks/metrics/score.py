"""What is judged, what comes out, and how sure it is."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

_JACKKNIFE_GROUPS = 20

T = TypeVar("T")


class Judged(NamedTuple):
    """One item beside what was answered."""

    prediction: str | None
    """None or blank: no answer."""
    target: str
    references: tuple[str, ...] = ()
    """Other right answers."""
    options: tuple[str, ...] = ()
    group: str = ""
    """Items that are judged together share it; empty: judged alone."""

    @property
    def answers(self) -> tuple[str, ...]:
        """All right answers, the target first."""
        return (self.target, *self.references)

    @property
    def blank(self) -> bool:
        """Whether nothing was answered."""
        return self.prediction is None or not self.prediction.strip()


class Metric(NamedTuple):
    """An aggregate over a test set."""

    value: float
    """In the unit of the metric, mostly a fraction from 0 to 1."""
    stderr: float
    """Standard error of `value` in its unit: of drawing the items, given the model and the prompts."""
    n: int
    """Items, or groups of items where these are judged together."""


def mean_score(correct: Sequence[bool]) -> Metric:
    """The share p of correct items, with the standard error sqrt(p (1 - p) / n) of a binomial proportion.

    Raises ValueError for no items.
    """
    n = len(correct)
    require_items(n)
    p = sum(correct) / n
    return Metric(p, math.sqrt(p * (1 - p) / n), n)


def mean(values: Sequence[float]) -> Metric:
    """The mean with the standard error sd / sqrt(n); sd divides by n, as that of a share in `mean_score` does.

    Raises ValueError for no items.
    """
    n = len(values)
    require_items(n)
    centre = math.fsum(values) / n
    return Metric(centre, math.sqrt(math.fsum((value - centre) ** 2 for value in values)) / n, n)


def jackknifed(statistic: Callable[[Sequence[T]], float], units: Sequence[T], n: int) -> Metric:
    """A statistic of all units at once, with the standard error of the delete-a-group jackknife.

    R = min(20, units) groups, the unit at place i in group i mod R; variance (R - 1) / R times the sum of the squared
    deviations from the whole (Kott 2001, Journal of Official Statistics 17(4), 521-526). 0 for fewer than 2 units.
    `n` is reported. Raises ValueError for no units.
    """
    require_items(len(units))
    whole = statistic(units)
    groups = min(_JACKKNIFE_GROUPS, len(units))
    if groups < 2:
        return Metric(whole, 0.0, n)
    without = [
        statistic([unit for place, unit in enumerate(units) if place % groups != left_out])
        for left_out in range(groups)
    ]
    squares = math.fsum((value - whole) ** 2 for value in without)
    return Metric(whole, math.sqrt((groups - 1) / groups * squares), n)


def together(judged: Sequence[Judged]) -> list[list[Judged]]:
    """The items by group, in the order in which groups first appear; an item without group is one of its own."""
    groups: dict[tuple[str, int], list[Judged]] = {}
    for place, item in enumerate(judged):
        groups.setdefault((item.group, -1 if item.group else place), []).append(item)
    return list(groups.values())


def require_items(n: int) -> None:
    """Raise ValueError for no items."""
    if n == 0:
        raise ValueError("a score over no items does not exist")
