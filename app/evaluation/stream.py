"""Ray Data streams cells through a pool of responders.

One dataset serves all models and tasks: a block is a bundle of cells that share whole weights, so an actor loads
each model once. Only slugs and failures come back to the driver, whatever the number of items.
"""

import pickle
from collections.abc import Callable, Sequence

import pyarrow as pa
import ray
import ray.data

from app.evaluation.responder import Responder
from app.plan import EvaluateCell, Needs
from app.store import Store
from app.trials import check_feasible

Done = Callable[[str, str], None]
"""Called in the driver for each finished cell: slug, and the reason where it failed."""
_BUNDLES_PER_ACTOR = 4  # enough to even out the load, few enough to load weights rarely
_LONGEST = 120.0  # seconds of a bundle, by the plan's estimate: progress is heard of at its end


def evaluate(study: str, cells: Sequence[EvaluateCell], store: Store, done: Done) -> None:
    """Answer all cells; their requests must be in the store. Responses, scores and records go to the store.

    Raises CellError where a cell needs more than any node has.
    """
    check_feasible(cells)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for needs in sorted({cell.needs for cell in cells}, key=lambda n: (-n.gpus, -n.cpus, -n.memory)):
        alike = [cell for cell in cells if cell.needs == needs]
        actors = _pool(needs)
        packed = bundles(alike, actors)
        blocks = [pa.table({"cells": [pickle.dumps(bundle)]}) for bundle in packed]  # at once: cells share their inputs
        answered = ray.data.from_arrow(blocks).map_batches(
            Responder,
            fn_constructor_kwargs={"study": study, "store": store},
            compute=ray.data.ActorPoolStrategy(size=min(actors, len(packed)), max_tasks_in_flight_per_actor=1),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            num_cpus=needs.cpus,
            num_gpus=needs.gpus or None,
        )
        for row in answered.iter_rows():
            done(row["slug"], row["failure"])


def bundles(cells: Sequence[EvaluateCell], actors: int) -> list[list[EvaluateCell]]:
    """Cells grouped by the whole weights they need, the largest group first, long groups cut into several."""
    groups: dict[str, list[EvaluateCell]] = {}
    for cell in cells:
        groups.setdefault(cell.weights, []).append(cell)
    total = sum(cell.cost for cell in cells)
    limit = min(_LONGEST, max(total / (actors * _BUNDLES_PER_ACTOR), 1e-9))
    packed: list[list[EvaluateCell]] = []
    for group in sorted(groups.values(), key=lambda group: -sum(cell.cost for cell in group)):
        # Base first, then run by run: an adapter is attached once a bundle.
        current: list[EvaluateCell] = []
        cost = 0.0
        for cell in sorted(group, key=lambda cell: (cell.run.slug if cell.run else "", cell.slug)):
            if current and cost + cell.cost > limit:
                packed.append(current)
                current, cost = [], 0.0
            current.append(cell)
            cost += cell.cost
        packed.append(current)
    return packed


def _pool(needs: Needs) -> int:
    """Actors that fit the cluster as it is."""
    have = ray.cluster_resources()
    fits = [have.get("CPU", 1) / needs.cpus, have.get("memory", needs.memory) / needs.memory]
    if needs.gpus:
        fits.append(have.get("GPU", 0) / needs.gpus)
    return max(1, int(min(fits)))
