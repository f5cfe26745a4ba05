"""Peak memory of the driver after few and after many requests: it must not grow with them."""

import resource
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc

from app import stages
from app.launch.session import session
from app.plan import Cell
from app.store import Store
from app.study import parse
from jobs.bench.document import Options, Section, Table

_SEEDS = (1, 12)
_STUDY = """
schema_version: 1
name: many-requests
bases: [{family: llama, source: ladder, sizes: [32x2], pretraining: {tokens: 20000}}]
recipes: [{method: lora, examples: 32}]
conditions: [base-few-shot, tuned-direct]
shots: {counts: [1, 2, 3, 4], seeds: %s}
answers: {modes: [loglikelihood]}
analysis: {baseline: null, metric: accuracy}
test_items: 100
"""
_ABOUT = """Peak resident memory of the driver of a study, after few requests and, in the same process, after many:
requests and responses go through the store, so that only slugs come back."""


class Quiet:
    """A reporter that says nothing."""

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None: ...

    def progress(self, slug: str, share: float) -> None: ...

    def failed(self, slug: str, reason: str) -> None: ...

    def waiting(self, reasons: Mapping[str, str]) -> None: ...


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench memory`."""
    table = Table(("requests", "peak memory of the driver"))
    section = Section("Memory of the driver", _ABOUT, tables=[table])
    for seeds in _SEEDS:
        file = parse(_STUDY % list(range(seeds)), Path("many-requests.yaml"))
        with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root, session():
            stages.run(file, Store(root), None, Quiet())
            scores = Store(root).read_table("scores", "tables/scores.parquet")
        asked = sum(scores.filter(pc.field("metric") == "accuracy")["n"].to_pylist())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        section.figures[f"{asked} requests"] = peak
        table.rows.append((f"{asked:,}", f"{peak:,.0f} MiB"))
    return section
