"""Which cells may begin: told what begins and what ends, it knows what waits, and for what.

One schedule serves a run (Ray Tune and Ray Data draw from it, from several threads) and the simulator. Of the cells
that could begin, the one with the longest path behind it comes first (Graham 1969, doi:10.1137/0117039, bounds what
any list schedule can lose).
"""

import heapq
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from app.grammar import counted
from app.plan.cells import Cell, EvaluateCell, Kind, Needs, Plan, TuneCell

TRIALS: tuple[Kind, ...] = ("pretrain", "convert", "tune")
EVALUATIONS: tuple[Kind, ...] = ("evaluate",)
NEEDED_FAILED = "what it needs failed"


class Ended(NamedTuple):
    """A cell that was not computed, and why."""

    slug: str
    reason: str


class Admission(Protocol):
    """Says whether a cell may begin."""

    def refuses(self, cell: Cell) -> str:
        """Why not; empty: it may, and counts as begun."""
        ...


class Schedule:
    """The cells to do, each in one state: waiting, ready, taken, running, and at last done, failed or left."""

    def __init__(
        self,
        cells: Sequence[Cell],
        needs: Mapping[str, Collection[str]] | None = None,
        admission: Admission | None = None,
        after: Mapping[str, str] | None = None,
    ) -> None:
        """`needs`: slug -> slugs of cells among `cells` that must be done before. In order: needed ones come first.

        `after`: slug -> slug of the cell among `cells` that must have ended before, done or failed.
        """
        self.cells = {cell.slug: cell for cell in cells}
        self.failed: list[Ended] = []
        self.left: list[Ended] = []
        self._admission = admission
        self._awaited = {slug: set((needs or {}).get(slug, ())) for slug in self.cells}
        self._after = dict(after or {})
        for slug, first in self._after.items():
            self._awaited[slug].add(first)
        self._behind: dict[str, list[str]] = {slug: [] for slug in self.cells}
        for slug, awaited in self._awaited.items():
            for needed in awaited:
                self._behind[needed].append(slug)
        self.earliest = self._earliest()
        """Slug -> seconds before which a cell cannot begin, however large the cluster."""
        self._order = {slug: (-path, place) for place, (slug, path) in enumerate(self._paths().items())}
        self._waiting = {slug for slug, awaited in self._awaited.items() if awaited}
        self._ready: dict[tuple[Kind, Needs], list[tuple[tuple[float, int], str]]] = {}
        self._taken: set[str] = set()
        self._running: set[str] = set()
        self._open = Counter(cell.kind for cell in cells)  # waiting or ready
        self._closed = False
        self._changed = threading.Condition(threading.RLock())
        for slug in self.cells:
            if slug not in self._waiting:
                self._push(slug)

    def _paths(self) -> dict[str, float]:
        """Slug -> seconds of the longest path that begins with it."""
        paths: dict[str, float] = {}
        for slug in reversed(list(self.cells)):
            paths[slug] = self.cells[slug].cost + max((paths[behind] for behind in self._behind[slug]), default=0.0)
        return {slug: paths[slug] for slug in self.cells}

    def _earliest(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for slug in self.cells:
            found[slug] = max((found[one] + self.cells[one].cost for one in self._awaited[slug]), default=0.0)
        return found

    @property
    def critical_path(self) -> float:
        """Seconds of the longest chain of cells: no cluster is faster."""
        return max((-path for path, _ in self._order.values()), default=0.0)

    # --- what begins ---------------------------------------------------------------------------------------------

    def take(self, kinds: Iterable[Kind], most: int = 1, without: Collection[Needs] = ()) -> list[Cell]:
        """Up to `most` cells that may begin now, the most urgent first; they count as taken.

        `without`: needs for which there is no room.
        """
        with self._changed:
            found: list[Cell] = []
            wanted = set() if self._closed else set(kinds)
            queues = [q for (kind, needs), q in self._ready.items() if kind in wanted and needs not in without]
            while len(found) < most and (queues := [queue for queue in queues if queue]):
                cell = self.cells[heapq.heappop(min(queues))[1]]
                self._open[cell.kind] -= 1
                refusal = self._admission.refuses(cell) if self._admission else ""
                if refusal:
                    self._give_up(cell.slug, refusal, self.left, refusal)
                    continue
                self._taken.add(cell.slug)
                found.append(cell)
            return found

    def put_back(self, slug: str) -> None:
        """A cell that was taken has got no room, or has lost it; it may begin again."""
        with self._changed:
            self._taken.discard(slug)
            self._running.discard(slug)
            self._open[self.cells[slug].kind] += 1
            self._push(slug)

    def close(self) -> None:
        """Nothing more begins; what was taken ends as it will."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def started(self, slug: str) -> None:
        """A taken cell has got its room and runs."""
        with self._changed:
            if slug in self._taken:
                self._taken.remove(slug)
                self._running.add(slug)

    def end(self, slug: str, failure: str = "") -> None:
        """A cell that was taken is done, or failed; what needs a failed cell fails with it."""
        with self._changed:
            if slug not in self._taken and slug not in self._running:  # told twice
                return
            self._taken.discard(slug)
            self._running.discard(slug)
            if failure:
                self._give_up(slug, failure, self.failed, NEEDED_FAILED)
            else:
                self._release(slug, self._behind[slug])
            self._changed.notify_all()

    def _release(self, slug: str, behind: Iterable[str]) -> None:
        """Cells no longer wait for `slug`."""
        for one in behind:
            self._awaited[one].discard(slug)
            if not self._awaited[one] and one in self._waiting:
                self._waiting.remove(one)
                self._push(one)

    def _push(self, slug: str) -> None:
        cell = self.cells[slug]
        heapq.heappush(self._ready.setdefault((cell.kind, cell.needs), []), (self._order[slug], slug))

    def _give_up(self, slug: str, reason: str, where: list[Ended], behind: str) -> None:
        where.append(Ended(slug, reason))
        for dependent in self._behind[slug]:
            if self._after.get(dependent) == slug:
                self._release(slug, [dependent])
            elif dependent in self._waiting:
                self._waiting.remove(dependent)
                self._open[self.cells[dependent].kind] -= 1
                self._give_up(dependent, behind, where, behind)

    # --- how it stands -------------------------------------------------------------------------------------------

    def ready(self, kinds: Iterable[Kind]) -> list[Cell]:
        """The cells that may begin, in no order; they stay ready."""
        wanted = set(kinds)
        with self._changed:
            return [self.cells[slug] for (kind, _), queue in self._ready.items() if kind in wanted for _, slug in queue]

    def busy(self, kinds: Iterable[Kind]) -> list[Cell]:
        """The cells that were taken and have not ended."""
        wanted = set(kinds)
        with self._changed:
            return [self.cells[slug] for slug in (*self._taken, *self._running) if self.cells[slug].kind in wanted]

    def over(self, kinds: Iterable[Kind]) -> bool:
        """Whether no cell of these kinds can begin any more."""
        with self._changed:
            return self._closed or not any(self._open[kind] for kind in kinds)

    def wait(self, seconds: float) -> None:
        """Return when a cell has ended, at the latest after `seconds`."""
        with self._changed:
            self._changed.wait(seconds)

    def waiting(self) -> dict[str, str]:
        """Slug -> why it has not begun, for every such cell."""
        with self._changed:
            reasons = {slug: "waits for room" for queue in self._ready.values() for _, slug in queue}
            reasons |= {slug: f"no room yet for {_amount(self.cells[slug])}" for slug in self._taken}
            return reasons | {slug: _awaits(slug, self._awaited[slug]) for slug in self._waiting}


def schedule(planned: Plan, to_do: Collection[str], admission: Admission | None = None) -> Schedule:
    """The schedule of a plan's cells that are `to_do`, by slug."""
    wanted = set(to_do)
    makers = {cell.base.slug: cell.slug for cell in planned.made}
    needs = {cell.slug: _needed(cell, makers) & wanted for cell in planned.cells if cell.slug in wanted}
    return Schedule([cell for cell in planned.cells if cell.slug in wanted], needs, admission, _after(planned, wanted))


def _after(planned: Plan, wanted: Collection[str]) -> dict[str, str]:
    """Of runs that are tuned in one process the first one's cell makes all; the others' then find theirs made."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for cell in planned.tunings:
        if cell.beside and cell.slug in wanted:
            groups.setdefault(tuple(run.slug for run in cell.beside), []).append(cell.slug)
    return {slug: slugs[0] for slugs in groups.values() for slug in slugs[1:]}


def _needed(cell: Cell, makers: Mapping[str, str]) -> set[str]:
    """The cells that a cell builds on directly."""
    found: set[str] = set()
    if isinstance(cell, TuneCell | EvaluateCell) and cell.base.slug in makers:
        found.add(makers[cell.base.slug])
    if isinstance(cell, EvaluateCell):
        if cell.run:
            found.add(f"tune/{cell.run.slug}")
        if cell.writer:
            found.add(cell.writer.slug)
    return found


def _awaits(waiting: str, slugs: Collection[str]) -> str:
    kinds = {slug.split("/", 1)[0] for slug in slugs}
    if kinds & {"pretrain", "convert"}:
        return "its base model is not ready"
    if waiting.startswith("tune/"):
        return "it is tuned together with another seed"
    return "its tuning is not done" if "tune" in kinds else "what it builds on is not written"


def _amount(cell: Cell) -> str:
    needs = cell.needs
    each = counted(needs.gpus, "GPU") if needs.gpus else counted(needs.cpus, "CPU")
    return f"{needs.workers} workers with {each} each" if needs.workers > 1 else each
