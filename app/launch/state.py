"""What a run leaves of itself in its store, where it outlives the cluster: what `fewtune status` shows.

plan.json  the cells of the study in short, written once: a machine without the engine sees what the run is about
run.json   phase, shares, failures and what waits, written every few seconds and at the end

Times are those of the writer's monotonic clock; whether the writer still lives is judged by its beat, never by the
hour that it wrote down.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from app.plan import Cell, EvaluateCell, Plan, TuneCell
from app.store import Store

Phase = Literal["computing", "analysing", "done", "stopped", "failed"]
ENDED = ("done", "stopped", "failed")
STATE, PLAN = "run.json", "plan.json"
_DIRECT = ("tuned-direct", "samplegen-direct")


class Outlined(NamedTuple):
    """A cell in short."""

    slug: str
    kind: str
    base: str
    family: str
    run: str | None
    """The tuned model that it makes, or whose score it is."""
    task: str | None
    cluster: str | None
    side: Literal["x", "y", ""]
    """Of the pairs that the study correlates: the predictor, what is predicted, or neither."""
    seconds: float
    """Estimated; of a core or of the reference GPU."""
    cores: float
    """Held while it runs; 0 where it holds GPUs."""
    gpus: float


class Outline(NamedTuple):
    """A plan in short."""

    study: str
    cells: tuple[Outlined, ...]


class Running(NamedTuple):
    """A cell at work."""

    share: float
    """Done, 0 to 1."""
    seconds: float
    """Since it was first heard of in this run."""


class Waiting(NamedTuple):
    """Cells that wait for one reason."""

    cells: int
    examples: tuple[str, ...]


class Wasted(NamedTuple):
    """Seconds of cores and of GPUs."""

    cores: float
    gpus: float

    def plus(self, cell: Outlined, seconds: float) -> "Wasted":
        """With what a cell held for so long."""
        return Wasted(self.cores + cell.cores * seconds, self.gpus + cell.gpus * seconds)


@dataclass(frozen=True)
class State:
    """A run as it last was."""

    run: str
    """Identifies the run among those of its store."""
    beat: int
    """One more with each write: the run lives while it moves."""
    job: str | None
    """Submission id on the cluster; None for a run on the user's own machine."""
    phase: Phase
    fault: str
    """Why the run as a whole failed; else empty."""
    written: str
    """The writer's date and hour, for people alone."""
    seconds: float
    """Since the run began."""
    to_do: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kind -> cells that this run had to compute."""
    done: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kind -> cells that it has computed."""
    reused: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kind -> cells that it found done."""
    share: float = 0.0
    """Done of all that was to do, weighted by estimated cost."""
    running: Mapping[str, Running] = field(default_factory=dict[str, Running])
    failed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Reason -> cells."""
    waiting: Mapping[str, Waiting] = field(default_factory=dict[str, Waiting])
    """Reason -> cells."""
    wasted: Wasted = field(default_factory=lambda: Wasted(0.0, 0.0))
    """By cells that failed or were cut short, in all runs of the store; records say what the others took."""
    retry: str = ""
    """The command that began it, which goes on with it; empty where it is not known."""

    @property
    def left(self) -> float | None:
        """Seconds to the end of the computing at the pace so far; None where nothing tells."""
        if self.phase != "computing" or self.share <= 0:
            return None
        return self.seconds * (1 / self.share - 1)


def read(store: Store) -> State | None:
    """The state of the store's last run, or None where there is none that can be read."""
    return parse(store.read_text(STATE) or "")


def parse(text: str) -> State | None:
    """A state from its file; None where that is none."""
    try:
        found = json.loads(text)
        found["running"] = {slug: Running(*given) for slug, given in found["running"].items()}
        found["failed"] = {reason: tuple(slugs) for reason, slugs in found["failed"].items()}
        found["waiting"] = {why: Waiting(cells, tuple(named)) for why, (cells, named) in found["waiting"].items()}
        found["wasted"] = Wasted(*found["wasted"])
        return State(**found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def outline(planned: Plan) -> Outline:
    """A plan in short."""
    return Outline(planned.study.name, tuple(_outlined(planned, cell) for cell in planned.cells))


def read_outline(store: Store) -> Outline | None:
    """The plan of the store's last run, or None where there is none that can be read."""
    return parse_outline(store.read_text(PLAN) or "")


def parse_outline(text: str) -> Outline | None:
    """A plan in short from its file; None where that is none."""
    try:
        found = json.loads(text)
        return Outline(found["study"], tuple(Outlined(*cell) for cell in found["cells"]))
    except (ValueError, TypeError, KeyError):
        return None


def _outlined(planned: Plan, cell: Cell) -> Outlined:
    run = cell.run if isinstance(cell, TuneCell | EvaluateCell) else None
    task = cell.task if isinstance(cell, EvaluateCell) else None
    needs, base = cell.needs, cell.base
    cores, gpus = (0.0, needs.gpus * needs.workers) if needs.gpus else (float(needs.cpus * needs.workers), 0.0)
    return Outlined(
        cell.slug, cell.kind, base.slug, base.family, run.slug if run else None, task.name if task else None,
        task.cluster if task else None, _side(planned, cell), cell.cost, cores, gpus,
    )  # fmt: skip


def _side(planned: Plan, cell: Cell) -> Literal["x", "y", ""]:
    """Which side of a pair an evaluation is, by the rules of `app.analysis.pairing.pairs`."""
    study = planned.study
    analysis = study.analysis
    if not isinstance(cell, EvaluateCell) or cell.condition.wording != (analysis.wording or study.wordings[0]):
        return ""
    name = cell.condition.name
    if name.endswith("few-shot") and cell.condition.shots != (analysis.shots or max(study.shots.counts)):
        return ""
    if name == analysis.x:
        return "x"
    return "y" if name in (_DIRECT if analysis.y == "direct" else (analysis.y,)) else ""
