"""`python -m jobs.bench [STUDY ...]`: what a study costs, measured in fresh stores; nothing here is asserted anywhere.

Without arguments: the demo study, its in-context learning, and the driver's memory while 100,000 requests are answered.
FEWTUNE_DATA_MIRROR names the mirror for studies on real data.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
from rich.console import Console

from app import stages
from app.launch.progress import Lines
from app.launch.session import session
from app.plan import Cell
from app.store import Store
from app.study import load, parse

_STUDIES = Path(__file__).parent / "studies"
_MANY = """
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


class Clock(Lines):
    """Keeps when each stage began, beside the usual lines."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.began: list[tuple[str, float]] = []

    def stage(self, name: str, cells: Sequence[Cell], reused: int) -> None:
        """A stage begins."""
        super().stage(name, cells, reused)
        self.began.append((name, time.monotonic()))


def study(path: Path, console: Console) -> None:
    """Wall seconds of each stage of a study, and how far few-shot exceeds zero-shot on its largest base model."""
    file, clock = load(path), Clock(console)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root, session():
        started = time.monotonic()
        outcome = stages.run(file, Store(root), os.environ.get("FEWTUNE_DATA_MIRROR"), clock)
        ended = time.monotonic()
        scores = Store(root).read_table("scores", "tables/scores.parquet")
    ends = [at for _, at in clock.began[1:]] + [ended]
    console.print(f"{path.name}: {ended - started:.0f} s, {outcome.computed} cells, {len(outcome.failures)} failed")
    for (name, began), end in zip(clock.began, ends, strict=True):
        console.print(f"  {name} {end - began:.0f} s")
    exact = scores.filter(pc.field("metric") == "exact_match")
    means = exact.group_by(["base", "params", "condition"]).aggregate([("value", "mean")]).to_pylist()
    for row in sorted(means, key=lambda row: (row["params"], row["base"], row["condition"])):
        console.print(f"  {row['base']} {row['params']:,} parameters, {row['condition']}: {row['value_mean']:.3f}")


def memory(console: Console) -> None:
    """Peak memory of the driver after few and after many requests: it must not grow with them."""
    for seeds in (1, 12):
        file = parse(_MANY % list(range(seeds)), Path("many-requests.yaml"))
        with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root, session():
            stages.run(file, Store(root), None, Lines(console))
            scores = Store(root).read_table("scores", "tables/scores.parquet")
        asked = sum(scores.filter(pc.field("metric") == "accuracy")["n"].to_pylist())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        console.print(f"{asked:,} requests: the driver's peak memory is {peak:,.0f} MiB")


if __name__ == "__main__":
    out = Console(highlight=False)
    for name in sys.argv[1:] or [str(_STUDIES / "demo.yaml")]:
        study(Path(name), out)
    if not sys.argv[1:]:
        memory(out)
