"""What our own work costs as it grows: items, options, demonstrations, width of the model, each times 2, 4 and 8."""

import copy
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.models import scoring
from app.models.loading import LoadedModel, causal
from app.models.scoring import ScoreRequest
from jobs.bench import material
from jobs.bench.document import Options, Section, Table
from jobs.bench.measure import timed
from jobs.bench.scoring import requests
from jobs.bench.tuning import ours

TIMES = (1, 2, 4, 8)
_BATCH_TOKENS = 8_192
_ABOUT = """CPU seconds of the engine alone, and how many times those of the first column they are. Scoring: five-shot
items of the task nli, options as text, shared demonstrations, on a Llama of 6.4 M parameters; `width` multiplies the
width of that model, and 8 times the width are some 40 times the parameters. Tuning: examples of one epoch, all
weights of a ladder model."""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench growth`."""
    table = Table(("what grows", *(f"x {times}" for times in TIMES)))
    section = Section("Cost as work grows", _ABOUT, tables=[table])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        for name, works in _works(Path(root), options).items():
            for work in works:
                work()  # warm: what is tried once for a model, and what is read once for a task
            costs = [statistics.median(timed(work).seconds for _ in range(options.rounds)) for work in works]
            section.figures |= {f"{name} x {times}": cost for times, cost in zip(TIMES, costs, strict=False)}
            cells = [f"{cost:.2f} s ({cost / costs[0]:.1f} x)" for cost in costs]
            table.rows.append((name, *cells))
    return section


def _works(folder: Path, options: Options) -> dict[str, list[Callable[[], object]]]:
    """Name -> what to time at each size; models are loaded and prompts rendered here."""
    loaded, count = material.llama(folder, "llama-6m"), max(4, options.items // 4)
    base = _items(material.SHOTS, count)
    seen = " ".join(request.context for request in _items(material.SHOTS, 8 * count))
    words = tuple(dict.fromkeys(f" {word}" for word in seen.split()))
    return {
        "items": [partial(_score, loaded, _items(material.SHOTS, count * times)) for times in TIMES],
        "options": [partial(_score, loaded, [r._replace(options=words[: 3 * t]) for r in base]) for t in TIMES],
        "demonstrations": [partial(_score, loaded, _items(2 * times, count)) for times in TIMES],
        "width": [partial(_score, material.llama(folder, "llama-6m", widen=times), base) for times in TIMES],
        "tuning examples": [partial(_tune, material.ladder(folder), 32 * times) for times in TIMES],
    }


def _items(shots: int, count: int) -> list[ScoreRequest]:
    return requests(material.rendered("base-few-shot", "standard", count, ("nli",), shots)["nli"])


def _score(loaded: LoadedModel, asked: list[ScoreRequest]) -> None:
    scoring.score(loaded, asked, _BATCH_TOKENS)


def _tune(loaded: LoadedModel, count: int) -> None:
    examples = material.encoded(material.mixture(count), loaded)
    ours(copy.deepcopy(causal(loaded)).requires_grad_(True), examples)
