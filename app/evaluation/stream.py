"""Ray Data streams cells through a pool of responders.

One dataset serves all models and tasks: a block is a bundle of cells that share whole weights, so an actor loads
each model once. Only slugs and failures come back to the driver, whatever the number of items.
"""

import logging
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

import pyarrow as pa
import ray
import ray.data
from ray.data._internal.execution.execution_callback import ExecutionCallback

from app import nodes
from app.evaluation.responder import Responder
from app.plan import EvaluateCell
from app.store import Store

Done = Callable[[str, str, bool], None]
"""Called in the driver for each finished cell: slug, the reason where it failed, and whether another try may help."""
_BUNDLES_PER_ACTOR = 4  # enough to even out the load, few enough to load weights rarely
_LONGEST = 120.0  # seconds of a bundle, by the plan's estimate: progress is heard of at its end


class _Stopper(ExecutionCallback):
    """What Ray Data asks at every step of a stream: else a thread would go on in it while Ray is shut down.

    Workers get it too, by name; so the event that it looks at is the module's.
    """

    stopped = threading.Event()

    def on_execution_step(self, executor: object) -> None:
        """End the thread that drives the stream, and with it the stream, without a fault."""
        if _Stopper.stopped.is_set():
            raise SystemExit


def evaluate(study: str, cells: Sequence[EvaluateCell], store: Store, done: Done, stopped: threading.Event) -> None:
    """Answer all cells; their requests must be in the store. Responses, scores and records go to the store.

    Ends soon after `stopped` is set, with cells left.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it was set up anew where Ray Data was first imported
    _Stopper.stopped = stopped
    context.custom_execution_callback_classes = cast(list[type[ExecutionCallback]], [_Stopper])
    types = nodes.living()
    for needs in sorted({cell.needs for cell in cells}, key=lambda n: (-n.gpus, -n.cpus, -n.memory)):
        alike = [cell for cell in cells if cell.needs == needs]
        room = max(1, nodes.slots(needs, types))
        packed = bundles(alike, room)
        blocks = [pa.table({"cells": [pickle.dumps(bundle)]}) for bundle in packed]  # at once: cells share their inputs
        answered = ray.data.from_arrow(blocks).map_batches(
            Responder,
            fn_constructor_kwargs={"study": study, "store": store},
            compute=ray.data.ActorPoolStrategy(size=min(room, len(packed)), max_tasks_in_flight_per_actor=1),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            num_cpus=needs.cpus,
            num_gpus=needs.gpus or None,
            memory=needs.memory,
        )
        for row in answered.iter_rows():
            done(row["slug"], row["failure"], row["passing"])


def actors(cells: Sequence[EvaluateCell]) -> int:
    """How many actors a wave of these cells would have, when everything that may be started is up."""
    types = nodes.living()
    groups = Counter(cell.needs for cell in cells)
    return max(max(1, min(nodes.slots(needs, types), count)) for needs, count in groups.items())


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
