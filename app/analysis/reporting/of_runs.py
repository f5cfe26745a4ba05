"""Both predictors of one tuned model at a time: how scores rank its tasks, few-shot against zero-shot.

Spearman's rho over the tasks of one model is what is usually reported, and what both predictors reach alike, because
tasks with few options are easy for every model. Set against each other, they show how often the rival is the closer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from app.analysis.answer import Row, find
from app.analysis.estimation.refusals import MIN_TASKS

FEWEST = 3
"""Tuned models below which there is nothing to set side by side."""
_TIED = 1e-9


class OfRun(NamedTuple):
    """One tuned model."""

    run: str
    family: str
    tasks: int
    x: float
    """Spearman's rho of the predictor with the tuned scores, over the tasks that have all three scores."""
    z: float
    """The rival's, over the same tasks."""

    @property
    def few(self) -> bool:
        """Whether it rests on so few tasks that it says almost nothing."""
        return self.tasks < MIN_TASKS


class Tally(NamedTuple):
    """For how many tuned models the rival's scores rank tasks more like the tuned ones, as much so, or less."""

    of: int
    rival: int
    tied: int
    predictor: int


def of_runs(pairs: pa.Table, rows: Sequence[Row]) -> list[OfRun]:
    """The tuned models among `pairs` with both coefficients, by name; empty where there are fewer than `FEWEST`."""
    families = dict(zip(pairs["run"].to_pylist(), pairs["family"].to_pylist(), strict=True))
    mine = [row for row in rows if row.level == "pooled" and row.filter.startswith("run=")]
    made: list[OfRun] = []
    for run in sorted(name for name in families if name is not None):
        delta = find(mine, "pooled", "spearman-delta", filter=f"run={run}")
        z = find(mine, "pooled", "spearman", filter=f"run={run}", x=delta.x.split(" - ")[1]) if delta else None
        if delta and z and delta.estimate is not None and z.estimate is not None:
            made.append(OfRun(run, families[run], z.n_tasks, z.estimate + delta.estimate, z.estimate))
    return made if len(made) >= FEWEST else []


def tally(found: Sequence[OfRun]) -> Tally:
    """Counts over `found`."""
    rival = sum(one.z > one.x + _TIED for one in found)
    predictor = sum(one.x > one.z + _TIED for one in found)
    return Tally(len(found), rival, len(found) - rival - predictor, predictor)
