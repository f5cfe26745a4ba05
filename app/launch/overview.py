"""How a study stands, from its store alone: counts, both sides of every pair, causes of failures, time and spend."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

from pyarrow import fs

from app.errors import FewTuneError
from app.launch import state
from app.launch.state import Outline, Outlined, State
from app.plan.schedule import NEEDED_FAILED
from app.store import Store
from app.study import parse

Standing = Literal["done", "part", "running", "waiting", "failed", "none"]
"""Of one side of pairs; part: some of its evaluations are done. none: the study has no such evaluation."""
_READERS = 16  # records are small files, of which object storage answers each in tens of milliseconds


class Pair(NamedTuple):
    """Both sides of the pairs of one row and column."""

    base: Standing
    tuned: Standing

    @property
    def void(self) -> bool:
        """A failed side leaves nothing to compare."""
        return "failed" in self


class Grid(NamedTuple):
    """Base models (or families) by tasks (or clusters of tasks)."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    pairs: Mapping[tuple[str, str], Pair]


class Cause(NamedTuple):
    """Cells that failed for one reason."""

    reason: str
    cells: tuple[str, ...]


class Spend(NamedTuple):
    """Hours of cores and of GPUs."""

    cores: float
    gpus: float


@dataclass(frozen=True)
class Overview:
    """How a study stands."""

    study: str
    store: str
    outline: Outline
    state: State | None
    """Of the last run; None where none has begun, or it kept no state."""
    done: Mapping[str, float]
    """Cell -> seconds that it took."""
    scores: Mapping[str, Sequence[Mapping[str, object]]]
    """Evaluation -> its rows of the table "scores"."""

    def counts(self) -> dict[str, tuple[int, int]]:
        """Kind -> cells done, and cells of the study."""
        planned = Counter(cell.kind for cell in self.outline.cells)
        done = Counter(cell.kind for cell in self.outline.cells if cell.slug in self.done)
        return {kind: (done[kind], planned[kind]) for kind in planned}

    def failed(self) -> dict[str, str]:
        """Cell -> reason, of cells that failed in the last run and were not done since."""
        causes = self.state.failed if self.state else {}
        return {slug: why for why, slugs in causes.items() for slug in slugs if slug not in self.done}

    def causes(self) -> list[Cause]:
        """Root causes, most cells first; cells that only rest on failed ones are left out."""
        found: dict[str, list[str]] = {}
        for slug, reason in self.failed().items():
            if reason != NEEDED_FAILED:
                found.setdefault(reason, []).append(slug)
        return sorted((Cause(why, tuple(slugs)) for why, slugs in found.items()), key=lambda cause: -len(cause.cells))

    def dragged(self) -> int:
        """Cells that failed only because what they rest on did."""
        return sum(reason == NEEDED_FAILED for reason in self.failed().values())

    def spent(self) -> Spend:
        """By records, by cells at work, and by those that failed."""
        seconds = dict(self.done)
        if self.state:
            seconds |= {slug: running.seconds for slug, running in self.state.running.items()}
        spent = _hours(self.outline.cells, seconds)
        if self.state is None:
            return spent
        wasted = self.state.wasted
        return Spend(spent.cores + wasted.cores / 3600, spent.gpus + wasted.gpus / 3600)

    def estimate(self) -> Spend:
        """Of the whole study, by the plan."""
        return _hours(self.outline.cells, {cell.slug: cell.seconds for cell in self.outline.cells})

    def grid(self, rows: Literal["base", "family"] = "base", columns: Literal["task", "cluster"] = "task") -> Grid:
        """Both sides of every pair of the study."""
        sides: dict[tuple[str, str, str], list[str]] = {}
        failed = self.failed()
        for cell in self.outline.cells:
            if cell.side:
                key = (getattr(cell, rows), getattr(cell, columns), cell.side)
                sides.setdefault(key, []).append(self._of(cell, failed))
        names = dict.fromkeys(key[0] for key in sides), dict.fromkeys(key[1] for key in sides)
        pairs = {
            (row, column): Pair(_together(sides.get((row, column, "x"))), _together(sides.get((row, column, "y"))))
            for row in names[0]
            for column in names[1]
        }
        return Grid(tuple(names[0]), tuple(names[1]), pairs)

    def planned_pairs(self) -> int:
        """Tuned models times tasks."""
        return len({(cell.run, cell.task) for cell in self.outline.cells if cell.side == "y"})

    def _of(self, cell: Outlined, failed: Mapping[str, str]) -> str:
        """How one evaluation stands; at work also counts the tuning that it waits for."""
        if cell.slug in self.done:
            return "done"
        if cell.slug in failed:
            return "failed"
        running = self.state.running if self.state else {}
        return "running" if cell.slug in running or f"tune/{cell.run}" in running else "waiting"


def overview(store: Store, before: Overview | None = None) -> Overview:
    """How the study of a store stands; `before` spares the reading of records that it has read.

    Raises StoreError where nothing says what the study consists of.
    """
    outline = state.read_outline(store) or _planned(store)
    known = before.done if before else {}
    slugs = _recorded(store)
    fresh = [slug for slug in slugs if slug not in known]
    with ThreadPoolExecutor(_READERS) as pool:
        found = zip(fresh, pool.map(store.read_record, fresh), strict=True)
        records = {slug: record for slug, record in found if record}
    done = {slug: known[slug] for slug in slugs if slug in known} | {s: r.seconds for s, r in records.items()}
    rows = {slug: record.result.get("scores", ()) for slug, record in records.items() if record.kind == "evaluate"}
    scores = {slug: kept for slug, kept in (before.scores if before else {}).items() if slug in done}
    return Overview(
        outline.study, store.root, outline, state.read(store), done,
        scores | cast(dict[str, Sequence[Mapping[str, object]]], rows),
    )  # fmt: skip


class Look(NamedTuple):
    """What is seen of a store at one moment."""

    overview: Overview
    estimate: str
    """The correlation of the pairs that are finished, in a line; empty where there is none, or no engine here."""


def look(store: Store, before: Look | None = None) -> Look | None:
    """How a store stands; None where nothing is in it yet. `before` spares the reading of what it has read."""
    if store.header() is None or not store.exists("study.yaml"):  # the run writes the one, then the other
        return None
    seen = overview(store, before.overview if before else None)
    if before and len(seen.scores) == len(before.overview.scores):
        return Look(seen, before.estimate)
    return Look(seen, _estimate(store, seen))


def _estimate(store: Store, seen: Overview) -> str:
    try:
        from app.analysis.estimation.provisional import provisional, sentence
    except ImportError:
        return ""
    text = store.read_text("study.yaml")
    if text is None or not seen.scores:
        return ""
    try:
        study = parse(text, Path("study.yaml")).study
        analysis = study.analysis.model_copy(update={"wording": study.analysis.wording or study.wordings[0]})
        found = provisional([row for rows in seen.scores.values() for row in rows], analysis)
    except FewTuneError as fault:
        return f"no estimate yet: {fault}"
    return sentence(found, seen.planned_pairs()) if found else ""


def _recorded(store: Store) -> list[str]:
    """Slugs of all records, from the listing alone."""
    selector = fs.FileSelector(store.path("records"), allow_not_found=True, recursive=True)
    prefix = store.path("records") + "/"
    paths = [info.path for info in store.filesystem.get_file_info(selector) if info.type == fs.FileType.File]
    return sorted(path.removeprefix(prefix).removesuffix(".json") for path in paths if path.endswith(".json"))


def _planned(store: Store) -> Outline:
    """The plan of a store whose runs kept no journal, made anew from its study file."""
    from app import stages

    return state.outline(stages.plan(stages.of_store(store.root)[0]))


def _together(standings: Sequence[str] | None) -> Standing:
    """One word for several evaluations: a failure outweighs all, then what is at work."""
    if not standings:
        return "none"
    if "failed" in standings:
        return "failed"
    if "running" in standings:
        return "running"
    if all(standing == "done" for standing in standings):
        return "done"
    return "part" if "done" in standings else "waiting"


def _hours(cells: Sequence[Outlined], seconds: Mapping[str, float]) -> Spend:
    cores = sum(cell.cores * seconds.get(cell.slug, 0.0) for cell in cells)
    gpus = sum(cell.gpus * seconds.get(cell.slug, 0.0) for cell in cells)
    return Spend(cores / 3600, gpus / 3600)
