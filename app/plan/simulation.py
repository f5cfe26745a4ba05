"""How long a plan would take on a cluster, by its cells' estimated costs: for planning, and to judge the schedule.

Nothing here runs anything. A cell begins on the first node that has room for it, in the schedule's order. A node that
dies takes what runs on it back to its last checkpoint (tunings) or to its start, and comes back later.
"""

import heapq
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.plan.cells import Cell, Needs, Plan
from app.plan.schedule import EVALUATIONS, TRIALS, Schedule, schedule

_KINDS = (*TRIALS, *EVALUATIONS)


@dataclass(frozen=True)
class Nodes:
    """Nodes of one shape."""

    count: int
    resources: Mapping[str, float]
    """CPU, GPU and memory (bytes) of each."""
    lifetime: float = float("inf")
    """Mean seconds until a node is taken away; times are exponential."""
    absence: float = 120.0
    """Seconds until another takes its place."""
    checkpoint: float = 30.0
    """Seconds of a tuning that may be lost."""


class Simulated(NamedTuple):
    """What a simulation found, in seconds."""

    makespan: float
    bound: float
    """No order of the cells is faster without deaths."""
    deaths: int


def simulate(planned: Plan, to_do: Collection[str], cluster: Sequence[Nodes], seed: int = 0) -> Simulated:
    """Run a plan's cells `to_do` on a cluster. Raises ValueError where a cell fits on no node."""
    return run(schedule(planned, to_do), cluster, seed)


def run(ordered: Schedule, cluster: Sequence[Nodes], seed: int = 0) -> Simulated:
    """Run a schedule to its end; see `simulate`."""
    return _Cluster(ordered, cluster, seed).run()


def bound(ordered: Schedule, cluster: Sequence[Nodes]) -> float:
    """Seconds that any order of the cells takes at least.

    The longest chain; and, for every moment, what cannot begin before it over all the room there is.
    """
    least, late = ordered.critical_path, dict[str, float]()
    room: dict[str, float] = {}
    for nodes in cluster:
        for name, amount in nodes.resources.items():
            room[name] = room.get(name, 0.0) + amount * nodes.count
    for cell in sorted(ordered.cells.values(), key=lambda cell: -ordered.earliest[cell.slug]):
        for name, amount in _wanted(cell.needs).items():
            late[name] = late.get(name, 0.0) + amount * cell.needs.workers * cell.cost
            if room.get(name):
                least = max(least, ordered.earliest[cell.slug] + late[name] / room[name])
    return least


class _Running(NamedTuple):
    cell: Cell
    places: tuple[int, ...]
    """Nodes, one for each worker."""
    since: float


class _Cluster:
    def __init__(self, ordered: Schedule, cluster: Sequence[Nodes], seed: int) -> None:
        self._schedule, self._cluster, self._rng = ordered, cluster, random.Random(seed)
        self._nodes = [nodes for nodes in cluster for _ in range(nodes.count)]
        self._room = [dict(nodes.resources) for nodes in self._nodes]
        self._away: set[int] = set()
        self._running: dict[int, _Running] = {}
        self._owed: dict[str, float] = {}
        """Seconds that a cell still needs, where that is not its cost."""
        self._events: list[tuple[float, int, str, int]] = []
        self._ids = iter(range(1 << 62))
        self._free = list(range(len(self._nodes)))
        """A heap of nodes that may have room, the first ones first; a node may be listed twice."""
        self.deaths = 0

    def run(self) -> Simulated:
        lower = bound(self._schedule, self._cluster)
        for place in range(len(self._nodes)):
            self._plan_death(place, 0.0)
        now = 0.0
        self._fill(now)
        while self._running or not self._schedule.over(_KINDS):
            if not self._events:
                raise ValueError(f"{self._schedule.ready(_KINDS)[0].slug} fits on no node of the simulated cluster")
            now, number, what, place = heapq.heappop(self._events)
            if what == "end":
                if number not in self._running:  # its node died
                    continue
                ended = self._running.pop(number)
                self._release(ended)
                self._schedule.end(ended.cell.slug)
            elif what == "death":
                self._die(place, now)
            else:
                self._away.discard(place)
                heapq.heappush(self._free, place)
                self._plan_death(place, now)
            self._fill(now)
        return Simulated(now, lower, self.deaths)

    def _fill(self, now: float) -> None:
        """Begin all that has room."""
        without: set[Needs] = set()
        while cells := self._schedule.take(_KINDS, without=without):
            (cell,) = cells
            if not self._begin(cell, now):
                self._schedule.put_back(cell.slug)
                without.add(cell.needs)

    def _begin(self, cell: Cell, now: float) -> bool:
        places = self._find(cell.needs)
        if places is None:
            return False
        number = next(self._ids)
        self._running[number] = _Running(cell, places, now)
        heapq.heappush(self._events, (now + self._owed.get(cell.slug, cell.cost), number, "end", -1))
        return True

    def _find(self, needs: Needs) -> tuple[int, ...] | None:
        """Take room for all workers, or none."""
        wanted = _wanted(needs)
        found: list[int] = []
        passed: list[int] = []
        while self._free and len(found) < needs.workers:
            place = self._free[0]
            if place in self._away or not _fits(wanted, self._room[place]):
                passed.append(heapq.heappop(self._free))
                continue
            for name, amount in wanted.items():
                self._room[place][name] -= amount
            found.append(place)
        for place in set(passed) - self._away:
            if self._room[place]["CPU"] > 0:  # every cell takes some
                heapq.heappush(self._free, place)
        if len(found) == needs.workers:
            return tuple(found)
        for place in found:
            self._give_back(place, wanted)
        return None

    def _release(self, ended: _Running) -> None:
        for place in ended.places:
            self._give_back(place, _wanted(ended.cell.needs))

    def _give_back(self, place: int, wanted: Mapping[str, float]) -> None:
        for name, amount in wanted.items():
            self._room[place][name] += amount
        heapq.heappush(self._free, place)

    def _plan_death(self, place: int, now: float) -> None:
        lifetime = self._nodes[place].lifetime
        if lifetime != float("inf"):
            when = now + self._rng.expovariate(1 / lifetime)
            heapq.heappush(self._events, (when, next(self._ids), "death", place))

    def _die(self, place: int, now: float) -> None:
        self.deaths += 1
        self._away.add(place)
        for number in [number for number, one in self._running.items() if place in one.places]:
            one = self._running.pop(number)
            self._release(one)
            kept = 0.0
            if one.cell.kind in TRIALS:
                kept = max(0.0, now - one.since - self._nodes[place].checkpoint)
            self._owed[one.cell.slug] = self._owed.get(one.cell.slug, one.cell.cost) - kept
            self._schedule.put_back(one.cell.slug)
        heapq.heappush(self._events, (now + self._nodes[place].absence, next(self._ids), "return", place))


def _wanted(needs: Needs) -> dict[str, float]:
    wanted = {"CPU": float(needs.cpus), "memory": float(needs.memory)}
    return wanted | ({"GPU": needs.gpus} if needs.gpus else {})


def _fits(wanted: Mapping[str, float], room: Mapping[str, float]) -> bool:
    return all(room.get(name, 0.0) >= amount for name, amount in wanted.items())
