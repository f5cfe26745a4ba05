"""What a study costs, measured in a fresh store, and the driver's memory while 100,000 requests are answered."""

import os
import resource
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.compute as pc
from rich.console import Console

from app import stages
from app.launch.progress import Lines
from app.launch.session import session
from app.store import Store
from app.study import load, parse

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


def study(path: Path, console: Console) -> None:
    """Wall seconds of a study, seconds of its cells, and how far few-shot exceeds zero-shot on its base models."""
    file = load(path)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root, session():
        started, busy = time.monotonic(), _busy()
        outcome = stages.run(file, Store(root), os.environ.get("FEWTUNE_DATA_MIRROR"), Lines(console))
        ended, busy = time.monotonic(), _busy() - busy
        scores = Store(root).read_table("scores", "tables/scores.parquet")
        records = Store(root).records().values()
    console.print(f"{path.name}: {ended - started:.0f} s, {outcome.computed} cells, {len(outcome.failures)} failed")
    for kind in dict.fromkeys(record.kind for record in records):
        console.print(
            f"  {kind} {sum(record.seconds for record in records if record.kind == kind):.0f} s of one worker"
        )
    least = busy / (os.cpu_count() or 1)
    console.print(f"  {(ended - started) / least:.2f} x CPU seconds over cores, all that ran on this machine counted")
    exact = scores.filter(pc.field("metric") == "exact_match")
    means = exact.group_by(["base", "params", "condition"]).aggregate([("value", "mean")]).to_pylist()
    for row in sorted(means, key=lambda row: (row["params"], row["base"], row["condition"])):
        console.print(f"  {row['base']} {row['params']:,} parameters, {row['condition']}: {row['value_mean']:.3f}")


def _busy() -> float:
    """Seconds that this machine's cores have worked, all told."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


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
