"""How fast a cluster of this machine grows from nothing and shrinks to nothing: real autoscaler, raylets as nodes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from app import nodes
from app.errors import FewTuneError
from app.launch.cluster import demo
from app.store import Store
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.study import spans

NODES, IDLE = 2, 6.0
"""Nodes at most, and seconds without work after which one goes."""
GROWN, GONE = 20.0, 10.0
"""Seconds: to the first cell, and to nothing once the idle time is over; at most."""
_LOOK, _PATIENCE = 0.2, 400.0
_STUDY = f"""
schema_version: 1
name: grown
bases: [{{family: llama, source: ladder, sizes: [32x2], pretraining: {{tokens: 20000, seeds: {list(range(NODES))}}}}}]
recipes: [{{method: lora, examples: 32}}]
tasks: [first]
conditions: [base-few-shot, tuned-direct]
analysis: {{baseline: null}}
test_items: 4
"""
_ABOUT = f"""`python -m jobs.study` on a cluster as `fewtune cluster demo` starts it: a head without room for work, and
an autoscaler that may add {NODES} nodes of one core. Counted in seconds on the clock from the start of that process,
its imports included; a cell runs from the moment that its record says its work began in a worker. A node goes
{IDLE:.0f} s after its last work; counted is what passes beyond that from the last record to the last node's end, while
the study still writes its tables."""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench cluster`."""
    section = Section("A cluster that grows and shrinks", _ABOUT)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root, demo(NODES, idle_minutes=IDLE / 60) as running:
        file, store = Path(root) / "grown.yaml", Path(root) / "store"
        file.write_text(_STUDY)
        client = nodes.gcs(running.gcs_address)
        began, most = time.time(), 0
        with (Path(root) / "told.txt").open("w+") as told:
            command = [sys.executable, "-m", "jobs.study", str(file), "--store", str(store)]
            environment = {**os.environ, **running.environment}
            process = subprocess.Popen(command, env=environment, stdout=told, stderr=told)  # noqa: S603 - our own
            while (up := len(nodes.alive(client)) - 1) or process.poll() is None:
                most = max(most, up)
                if process.poll() or time.time() > began + _PATIENCE:
                    process.kill()
                    told.seek(0)
                    raise FewTuneError(f"the study on the cluster did not end well: {told.read()[-2_000:]}")
                time.sleep(_LOOK)
        gone = time.time()
        times = spans(Store(store)).values()
    begun, ended = sorted(one for one, _ in times), max(one for _, one in times)
    first, all_busy, back = begun[0] - began, begun[NODES - 1] - began, gone - ended - IDLE
    section.targets = [
        Target("from no node to the first cell at work", first, GROWN, "s", at_most=True),
        Target("back to no node, beyond the idle time", back, GONE, "s", at_most=True),
    ]
    section.tables = [Table(("event", "seconds"))]
    section.tables[0].rows += [
        ("the first cell at work", f"{first:.1f}"),
        (f"as many cells at work as there may be nodes ({NODES})", f"{all_busy:.1f}"),
        ("no node left, beyond the idle time", f"{back:.1f}"),
    ]
    section.figures = {"first cell": first, "all nodes": all_busy, "back to zero": back, "nodes": float(most)}
    section.notes = [f"{most} nodes were up at once."]
    return section
