"""All experiments of all cases, in as many processes as asked for; each starts bare and imports this module."""

from collections.abc import Sequence
from multiprocessing import get_context

from app.analysis.coefficients import Floats
from app.analysis.worlds import World, truth
from jobs.simulate.case import Case
from jobs.simulate.experiment import Outcome, experiment
from jobs.simulate.tally import Tally, tally

_CHUNK = 25
_TRUTH_ROUNDS = 8


def run(asked: Sequence[Case], experiments: int, workers: int) -> list[Tally]:
    """Simulate each case so often; the number of processes changes no figure."""
    firsts = range(0, experiments, _CHUNK)
    chunks = [(case, range(first, min(first + _CHUNK, experiments))) for case in asked for first in firsts]
    worlds = list(dict.fromkeys((case.world, case.design.items) for case in asked))
    if workers == 1:
        true, made = [_truth(one) for one in worlds], [_several(one) for one in chunks]
    else:
        with get_context("spawn").Pool(workers) as pool:
            true, made = pool.map(_truth, worlds, chunksize=1), pool.map(_several, chunks, chunksize=1)
    known = dict(zip(worlds, true, strict=True))
    found: list[Tally] = []
    for place, case in enumerate(asked):
        own = made[place * len(firsts) : (place + 1) * len(firsts)]
        found.append(tally(case, [one for several in own for one in several], known[case.world, case.design.items]))
    return found


def _several(given: tuple[Case, range]) -> list[Outcome]:
    case, numbers = given
    return [experiment(case, number) for number in numbers]


def _truth(given: tuple[World, int]) -> Floats:
    return truth(*given, _TRUTH_ROUNDS)
