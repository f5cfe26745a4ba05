"""The primary correlation over the pairs that are finished while a study still runs: for a status line, not a claim."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app import tables
from app.analysis.answer import number
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import grid as grids
from app.analysis.estimation import jackknife as jk
from app.analysis.estimation.refusals import MIN_CLUSTERS, MIN_TASKS
from app.analysis.pairing.pairs import pairs
from app.study import Analysis


class Provisional(NamedTuple):
    """Doubly centred Pearson's r of what is there; `low` and `high` None where the design carries no interval yet."""

    estimate: float
    low: float | None
    high: float | None
    pairs: int
    """Finished."""
    runs: int
    """Of the grid that the estimate rests on, in which pairs may be missing."""
    tasks: int


def provisional(scores: Iterable[Mapping[str, object]], analysis: Analysis) -> Provisional | None:
    """The estimate from rows of finished evaluations; None where there is none yet. Raises what `pairs` raises."""
    # A record does not name the mixture, which plays no part here.
    made = pairs(tables.build("scores", [{"mixture": None} | dict(row) for row in scores]), analysis).table
    if not made.num_rows:
        return None
    intact = grids.intact(made)
    answering = made.filter(pa.array(intact)) if intact.any() else made
    grid = grids.gridded(grids.cells(answering, analysis.cluster_by), rival=False)
    runs, tasks = grid.shape
    if not runs * tasks:
        return None
    found = jk.Replicates(_primary(grid.sides), np.empty(0), np.empty(0), 0.0)
    if not np.isfinite(found.estimate):
        return None
    between = None
    if len(grid.cluster_names) >= MIN_CLUSTERS and tasks >= MIN_TASKS:
        found = jk.leave_out(_primary, grid.sides, grid.clusters)
        blocks = jk.block_variance_r(grid.sides.x, grid.sides.y, "doubly_centred", grid.clusters)
        between = jk.interval(found._replace(blocks=blocks), fisher=True)
    low, high = (between.low, between.high) if between else (None, None)
    return Provisional(found.estimate, low, high, made.num_rows, runs, tasks)


def sentence(found: Provisional, planned: int) -> str:
    """In a line; marked as provisional until all `planned` pairs are there."""
    interval = "no interval yet" if found.low is None else f"95 % interval {number(found.low)} to {number(found.high)}"
    told = f"r = {number(found.estimate)}, {interval}, task and model means removed"
    rests = f"{found.runs} models x {found.tasks} tasks"
    if found.pairs >= planned:
        return f"{told} ({rests})"
    return f"provisional, {found.pairs:,} of {planned:,} pairs: {told} ({rests}); it may still change"


def _primary(sides: co.Sides) -> float:
    return co.at_level(sides.x, sides.y, "doubly_centred", "pearson")
