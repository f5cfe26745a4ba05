"""What our own work costs as it grows: items, options, demonstrations, models and their width, each times 2, 4, 8."""

import copy
import pickle
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa

from app.errors import CellError
from app.evaluation.responder import Responder
from app.models import pieces, scoring
from app.models.loading import LoadedModel, causal
from app.models.scoring import ScoreRequest
from app.plan import Plan
from app.store import Store
from jobs.bench import material
from jobs.bench.cells import tuned
from jobs.bench.document import Options, Section, Table
from jobs.bench.measure import timed
from jobs.bench.scoring import requests
from jobs.bench.tuning import ours

TIMES = (1, 2, 4, 8)
_ABOUT = """CPU seconds of the engine alone, and how many times those of the first column they are. Scoring: five-shot
items of the task nli, options as text, shared demonstrations, on a Llama of 6.4 M parameters; `width` multiplies the
width of that model, and 8 times the width are some 40 times the parameters. Models: evaluations of that many LoRA
models of one small base on four tasks by one actor, which loads the base and moves from adapter to adapter; reading
requests, judging and writing included. Tuning: examples of one epoch, all weights of a ladder model."""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench growth`."""
    table = Table(("what grows", *(f"x {times}" for times in TIMES)))
    section = Section("Cost as work grows", _ABOUT, tables=[table])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        for name, works in _works(Path(root), options).items():
            for work in works:
                work()  # warm: what is tried once for a model, and what is read once for a task
            costs = [statistics.median(_fresh(work) for _ in range(options.rounds)) for work in works]
            section.figures |= {f"{name} x {times}": cost for times, cost in zip(TIMES, costs, strict=False)}
            cells = [f"{cost:.2f} s ({cost / costs[0]:.1f} x)" for cost in costs]
            table.rows.append((name, *cells))
    return section


def _works(folder: Path, options: Options) -> dict[str, list[Callable[[], object]]]:
    """Name -> what to time at each size; models are loaded and prompts rendered here."""
    loaded, count = material.llama(folder, "llama-6m"), max(4, options.items // 4)
    planned, store = tuned(folder / "store", max(TIMES), material.TASK_NAMES, count)
    base = _items(material.SHOTS, count)
    seen = " ".join(request.context for request in _items(material.SHOTS, 8 * count))
    words = tuple(dict.fromkeys(f" {word}" for word in seen.split()))
    return {
        "items": [partial(_score, loaded, _items(material.SHOTS, count * times)) for times in TIMES],
        "options": [partial(_score, loaded, [r._replace(options=words[: 3 * t]) for r in base]) for t in TIMES],
        "demonstrations": [partial(_score, loaded, _items(2 * times, count)) for times in TIMES],
        "width": [partial(_score, material.llama(folder, "llama-6m", widen=times), base) for times in TIMES],
        "models": [partial(_evaluate, planned, store, times) for times in TIMES],
        "tuning examples": [partial(_tune, material.ladder(folder), 32 * times) for times in TIMES],
    }


def _fresh(work: Callable[[], object]) -> float:
    pieces.forget()
    return timed(work).seconds


def _items(shots: int, count: int) -> list[ScoreRequest]:
    return requests(material.rendered("base-few-shot", "standard", count, ("nli",), shots)["nli"])


def _score(loaded: LoadedModel, asked: list[ScoreRequest]) -> None:
    scoring.score(loaded, asked)


def _evaluate(planned: Plan, store: Store, models: int) -> None:
    """Answer again for the first tuned models."""
    runs = list(dict.fromkeys(cell.run.slug for cell in planned.tunings))[:models]
    cells = [cell for cell in planned.evaluations if cell.run and cell.run.slug in runs]
    for cell in cells:
        store.delete_record(cell.slug)
    told = Responder(planned.study.name, store)(pa.table({"cells": [pickle.dumps(cells)]}))
    if any(failures := told["failure"].to_pylist()):
        raise CellError(next(filter(None, failures)))


def _tune(loaded: LoadedModel, count: int) -> None:
    examples = material.encoded(material.mixture(count), loaded)
    ours(copy.deepcopy(causal(loaded)).requires_grad_(True), examples)
