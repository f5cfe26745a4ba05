"""What a cell costs beside its work: a tuning as a trial, and an evaluation actor that moves to the next adapter."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from rich.console import Console

from app import stages
from app.launch.session import session
from app.models import adapters
from app.models.loading import load
from app.models.source import base_source, tuned_folder
from app.plan import Cell
from app.store import Store
from app.study import parse

_RUNS = 12
_STUDY = f"""
schema_version: 1
name: cells
bases: [{{family: llama, source: ladder, sizes: [64x2], pretraining: {{tokens: 20000}}}}]
recipes: [{{method: lora, examples: 64, seeds: {list(range(_RUNS))}}}]
tasks: [first]
conditions: [base-few-shot, tuned-direct]
analysis: {{baseline: null}}
test_items: 4
"""


class _Watch:
    """A reporter that keeps when each tuning was first and last heard of."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None: ...

    def failed(self, slug: str, reason: str) -> None: ...

    def waiting(self, reasons: Mapping[str, str]) -> None: ...

    def progress(self, slug: str, share: float) -> None:
        if slug.startswith("tune/") and share >= 1:
            self.ended.setdefault(slug, time.monotonic())


def cells(console: Console) -> None:
    """Two lines: medians over the runs of one small base model, one core at work."""
    file, watch = parse(_STUDY, Path("cells.yaml")), _Watch()
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        store = Store(root)
        with session(cpus=1):
            stages.run(file, store, None, watch)
        times = sorted(watch.ended.values())
        apart = statistics.median(later - earlier for earlier, later in pairwise(times))
        work = statistics.median(record.seconds for record in store.records("tune").values())
        console.print(
            f"a tuning of {work:.2f} s takes a one-core cluster {apart:.2f} s: {apart - work:.2f} s beside it"
        )
        planned = stages.plan(file)
        folders = [tuned_folder(cell.run, store) for cell in planned.tunings]
        loaded, moves = load(base_source(planned.tunings[0].base, store)), list[float]()
        for folder in folders:
            began = time.monotonic()
            loaded = adapters.switch_adapter(loaded, folder)
            moves.append(time.monotonic() - began)
        console.print(f"an actor moves to the next adapter in {statistics.median(moves) * 1000:.0f} ms")
