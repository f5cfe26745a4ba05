"""How fast a cluster of this machine grows from nothing and shrinks to nothing: real autoscaler, raylets as nodes."""

import os
import subprocess
import sys

from rich.console import Console

from app.launch.cluster import demo

_NODES, _IDLE = 2, 6.0  # seconds without work after which a node goes
_WORK = """
import sys, time
import ray

ray.init(log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=1)
def where(seconds):
    began = time.time()
    time.sleep(seconds)
    return began

began = time.time()
starts = ray.get([where.remote(3) for _ in range(int(sys.argv[1]))])
print(f"{min(starts) - began:.1f} s until the first cell runs, {max(starts) - began:.1f} s until all nodes have one")
ended = time.time()
while sum(node["Alive"] for node in ray.nodes()) > 1:
    time.sleep(0.1)
print(f"back to zero {time.time() - ended - float(sys.argv[2]):.1f} s after the idle time of {sys.argv[2]} s")
"""


def cluster(console: Console) -> None:
    """Two lines."""
    with demo(_NODES, idle_minutes=_IDLE / 60) as running:
        told = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", _WORK, str(_NODES), str(_IDLE)],
            env={**os.environ, **running.environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    console.print(f"0 -> {_NODES} nodes: {told.strip()}")
