"""All experiments of all cases, in as many processes as asked for; each starts bare and imports this module."""

from collections.abc import Iterable, Sequence
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.progress import track

from app.analysis.design.worlds import World, truth
from app.analysis.vocabulary import LEVELS
from jobs.simulate import further
from jobs.simulate.case import Case
from jobs.simulate.experiment import Outcome, experiment
from jobs.simulate.tally import Tally, tally

_Made = TypeVar("_Made")

_CHUNK = 25
_TRUTH_ROUNDS = 8


class _Wanted(NamedTuple):
    """What true values depend on."""

    part: str
    world: World
    items: int
    tunings: int


def run(asked: Sequence[Case], experiments: int, workers: int) -> list[Tally]:
    """Simulate each case so often, or its share of it; the number of processes changes no figure."""
    chunks = [
        (case, range(first, min(first + _CHUNK, case.count(experiments))))
        for case in asked
        for first in range(0, case.count(experiments), _CHUNK)
    ]
    worlds = list(dict.fromkeys(map(_wanted, asked)))
    if workers == 1:
        true, made = [_truth(one) for one in worlds], [_several(one) for one in chunks]
    else:
        with get_context("spawn").Pool(workers) as pool:
            true = _told(pool.imap(_truth, worlds), len(worlds), "true values")
            made = _told(pool.imap(_several, chunks), len(chunks), "experiments")
    known = dict(zip(worlds, true, strict=True))
    found: list[Tally] = []
    outcomes = iter(made)
    for case in asked:
        own = [one for _ in range(0, case.count(experiments), _CHUNK) for one in next(outcomes)]
        found.append(tally(case, own, known[_wanted(case)]))
    return found


def _told(made: Iterable[_Made], count: int, what: str) -> list[_Made]:
    """All that is made, in order; at a terminal with the share done and the time left."""
    return list(track(made, what, total=count, console=Console(stderr=True), transient=True))


def _several(given: tuple[Case, range]) -> list[Outcome]:
    case, numbers = given
    return [experiment(case, number) for number in numbers]


def _wanted(case: Case) -> _Wanted:
    part = case.part if case.part in ("items", "further") else ""
    tunings = max(base.tunings for base in case.design.bases)
    return _Wanted(part, case.world, case.design.items, tunings if part == "further" else 1)


def _truth(given: _Wanted) -> dict[further.Statistic, float]:
    if given.part == "items":
        return further.corrected_truths(given.world, given.items, _TRUTH_ROUNDS)
    if given.part == "further":
        return further.truths(given.world, given.items, given.tunings, _TRUTH_ROUNDS)
    r, rival = truth(given.world, given.items, _TRUTH_ROUNDS)
    known: dict[further.Statistic, float] = {}
    for place, level in enumerate(LEVELS):
        known |= {("r", level): float(r[place]), ("delta", level): float(r[place] - rival[place])}
    return known
