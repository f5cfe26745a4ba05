"""How near the schedule comes to the lower bound of a plan's time, by simulation: no node is started."""

import time
from pathlib import Path

from app import stages
from app.plan import Plan
from app.plan.simulation import Nodes, simulate
from app.study import load, parse
from jobs.bench.document import Options, Section, Table, Target

_NINETY = Path(__file__).parents[1] / "studies" / "ninety.yaml"
BOUND = 1.05
_NODES = (1, 10, 100, 1_000)
_SHAPE = {"CPU": 1.0, "memory": 16e9}
_ABSENCE = 30.0  # seconds until another node takes its place
_LIFETIME = 600.0  # seconds that a spot node lives on average: cells of the ladder take seconds, deaths must be met
_ABOUT = f"""Plans of the ninety study and of a larger one, on simulated nodes of one core, by the costs that the plan
estimates: seconds from begin to end, over the seconds that no order of the cells could undercut. With deaths, each node
is a spot node that lives {_LIFETIME:.0f} s on average and is replaced after {_ABSENCE:.0f} s; the bound stays that of
nodes that live."""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench schedule`."""
    table = Table(("cells", "nodes", "bound", "makespan", "deaths", "makespan with deaths", "simulated in"))
    section = Section("Schedule against its lower bound", _ABOUT, tables=[table])
    worst, slowest = 0.0, 0.0
    for planned, cells in _plans():
        for count in _NODES:
            began = time.process_time()
            found = simulate(planned, cells, [Nodes(count, _SHAPE)])
            took = time.process_time() - began
            mortal = simulate(planned, cells, [Nodes(count, _SHAPE, lifetime=_LIFETIME, absence=_ABSENCE)])
            ratio, with_deaths = found.makespan / found.bound, mortal.makespan / found.bound
            worst, slowest = max(worst, ratio), max(slowest, took)
            section.figures |= {f"{len(cells)} cells, {count} nodes": ratio}
            section.figures |= {f"{len(cells)} cells, {count} nodes, deaths": with_deaths}
            table.rows.append(
                (
                    f"{len(cells):,}", f"{count:,}", f"{found.bound:,.0f} s", f"{ratio:.3f} x", f"{mortal.deaths}",
                    f"{with_deaths:.3f} x", f"{took:.2f} s",
                )
            )  # fmt: skip
    section.targets = [
        Target("simulated makespan over its lower bound, no deaths, the worst", worst, BOUND, at_most=True)
    ]
    section.notes = [f"The slowest simulation took {slowest:.1f} CPU seconds."]
    return section


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
