"""How near the schedule comes to the lower bound of a plan's time, by simulation: no node is started."""

import time
from pathlib import Path

from rich.console import Console

from app import stages
from app.plan import Plan
from app.plan.simulation import Nodes, simulate
from app.study import load, parse

_NINETY = Path(__file__).parents[1] / "studies" / "ninety.yaml"
_NODES = (1, 10, 100, 1_000)
_SHAPE = {"CPU": 1.0, "memory": 16e9}
_LIFETIME = 600.0  # seconds that a spot node lives on average: cells of the ladder take seconds, deaths must be met


def schedule(console: Console) -> None:
    """A line for each size of plan and of cluster."""
    for planned, cells in _plans():
        for count in _NODES:
            began = time.monotonic()
            found = simulate(planned, cells, [Nodes(count, _SHAPE)])
            took = time.monotonic() - began
            mortal = simulate(planned, cells, [Nodes(count, _SHAPE, lifetime=_LIFETIME, absence=30.0)])
            console.print(
                f"{len(cells):,} cells on {count:,} nodes: {found.makespan / found.bound:.3f} x the bound of "
                f"{found.bound:.0f} s; with {mortal.deaths} deaths {mortal.makespan / found.bound:.3f} x "
                f"(simulated in {took:.1f} s)"
            )


def _plans() -> list[tuple[Plan, list[str]]]:
    """About 90, 1,000 and 10,000 cells, whole base models with all that rests on them."""
    file = load(_NINETY)
    more = parse(
        file.text.replace("name: ninety", "name: more\nshots: {counts: [1, 2, 4, 8], seeds: [0, 1]}"), file.path
    )
    small, large = stages.plan(file), stages.plan(more)
    return [(small, _first(small, 90)), (small, _first(small, 1_000)), (large, _first(large, 10_000))]


def _first(planned: Plan, count: int) -> list[str]:
    found: list[str] = []
    for base in dict.fromkeys(cell.base.slug for cell in planned.cells):
        if len(found) < count:
            found += [cell.slug for cell in planned.cells if cell.base.slug == base]
    return found[:count] if count < 1_000 else found
