"""How a run looks while it goes: a bar a stage in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.grammar import counted
from app.plan import Cell
from app.plan.schedule import NEEDED_FAILED
from app.stages import Outcome, Reporter

_KINDS = {"base models": ("pretrain", "convert"), "tune": ("tune",), "evaluate": ("evaluate",)}
_FAILED = "failed "  # begins the line in which a log tells that a cell has failed
_EVERY = 10.0  # seconds between two lines where there is no terminal


@contextmanager
def reporter(console: Console) -> Generator[Reporter]:
    """A reporter that draws on `console` while the block runs."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.fields[cells]} cells"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Bars(progress)


def summary(outcome: Outcome, seconds: float) -> list[str]:
    """How a run ended, in lines: counts, then what failed or was left, by cause."""
    failed, left = outcome.failures, outcome.left
    counts = f"{counted(outcome.computed, 'cell')} computed, {outcome.reused} reused, {len(failed)} failed"
    lines = [f"{counts}{f', {len(left)} left' if left else ''} in {seconds / 60:.1f} minutes"]
    for what, ended in (("failed", failed), ("left", left)):
        causes: dict[str, list[str]] = {}
        for slug, reason in ended:
            causes.setdefault(reason, []).append(slug)
        lines += [
            f"{what} {counted(len(slugs), 'cell')}, for example {slugs[0]}: {reason}"
            for reason, slugs in causes.items()
        ]
    return lines


def failures(log: str) -> list[str]:
    """What went wrong by a job's log, a line for each cause: as they were met, and last what rests on failed cells."""
    causes: dict[str, list[str]] = {}
    for line in log.splitlines():
        slug, colon, reason = line.removeprefix(_FAILED).partition(": ")
        if line.startswith(_FAILED) and colon and " " not in slug:
            causes.setdefault(reason, []).append(slug)
    return [
        f"{counted(len(slugs), 'cell')}, for example {slugs[0]}: {reason}"
        for reason, slugs in sorted(causes.items(), key=lambda cause: cause[0] == NEEDED_FAILED)
    ]


class _Stage:
    """Counts of one kind of cells. Progress is weighted by the cells' estimated cost."""

    def __init__(self, name: str, cells: Sequence[Cell], reused: int) -> None:
        self.name, self.reused, self.started = name, reused, time.monotonic()
        self._costs = {cell.slug: max(cell.cost, 1e-3) for cell in cells}
        self._shares = dict.fromkeys(self._costs, 0.0)
        self.total = sum(self._costs.values())

    def progress(self, slug: str, share: float) -> None:
        if not any(self._shares.values()):
            self.started = time.monotonic()
        self._shares[slug] = max(self._shares.get(slug, 0.0), share)

    @property
    def weight(self) -> float:
        return sum(self._costs.get(slug, 0.0) * share for slug, share in self._shares.items())

    @property
    def done(self) -> int:
        return sum(share >= 1 for share in self._shares.values())

    @property
    def cells(self) -> str:
        return f"{self.done}/{len(self._costs)}"

    @property
    def rate(self) -> str:
        seconds = time.monotonic() - self.started
        return f"{self.done / seconds * 60:.0f}/min" if self.done and seconds > 1 else ""

    @property
    def note(self) -> str:
        return f"{self.reused} reused" if self.reused else ""


def _stages(cells: Sequence[Cell], reused: Sequence[Cell]) -> dict[str, _Stage]:
    """Kind of cell -> its stage; pretraining and conversion are one."""
    found: dict[str, _Stage] = {}
    for name, kinds in _KINDS.items():
        own = [[cell for cell in group if cell.kind in kinds] for group in (cells, reused)]
        if own[0] or own[1]:
            stage = _Stage(name, own[0], len(own[1]))
            found |= dict.fromkeys(kinds, stage)
    return found


class Bars:
    """Bars of a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stages: dict[str, _Stage] = {}
        self._bars: dict[str, TaskID] = {}

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None:
        """One bar a stage."""
        self._stages = _stages(cells, reused)
        for stage in dict.fromkeys(self._stages.values()):
            self._bars[stage.name] = self._progress.add_task(
                stage.name, total=stage.total or 1, completed=0 if stage.total else 1, cells=stage.cells, rate="",
                note=stage.note, start=not stage.total,
            )  # fmt: skip

    def progress(self, slug: str, share: float) -> None:
        """Move a bar; its clock starts with the first of its cells."""
        stage = self._stages[slug.split("/", 1)[0]]
        stage.progress(slug, share)
        bar = self._bars[stage.name]
        self._progress.start_task(bar)
        self._progress.update(bar, completed=stage.weight, cells=stage.cells, rate=stage.rate)

    def failed(self, slug: str, reason: str) -> None:
        """Say so above the bars."""
        self._progress.console.print(f"[bold red]failed[/] {slug}: {reason}", soft_wrap=True)

    def waiting(self, reasons: Mapping[str, str]) -> None:
        """Bars show what is done; `fewtune status` says what waits."""


class Lines:
    """Lines of a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: dict[str, _Stage] = {}
        self._told = 0.0

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None:
        """Say what is to do."""
        self._stages = _stages(cells, reused)
        self._told = time.monotonic()
        for stage in dict.fromkeys(self._stages.values()):
            to_do = counted(int(stage.cells.split("/")[1]), "cell")
            self._console.print(f"{stage.name}: {to_do} to compute, {stage.reused} reused")

    def progress(self, slug: str, share: float) -> None:
        """Say how far all is, every ten seconds and when a stage ends."""
        stage = self._stages[slug.split("/", 1)[0]]
        before = stage.weight
        stage.progress(slug, share)
        finished = before < stage.weight and stage.weight >= stage.total * 0.999999
        if not finished and time.monotonic() - self._told < _EVERY:
            return
        self._told = time.monotonic()
        for told in [stage] if finished else dict.fromkeys(self._stages.values()):
            if told.weight > 0 and (told is stage or told.weight < told.total * 0.999999):
                self._console.print(self._line(told))

    def _line(self, stage: _Stage) -> str:
        seconds = time.monotonic() - stage.started
        left = seconds * (stage.total / max(stage.weight, 1e-9) - 1)
        rate = f", {stage.rate}" if stage.rate else ""
        about = f", about {left:.0f} s left" if seconds > 1 else ""
        return f"{stage.name}: {stage.cells} cells{rate}, {seconds:.0f} s gone{about}"

    def failed(self, slug: str, reason: str) -> None:
        """Say so at once."""
        self._console.print(f"{_FAILED}{slug}: {reason}", markup=False, soft_wrap=True)

    def waiting(self, reasons: Mapping[str, str]) -> None:
        """Nothing: a line every few seconds would drown the rest."""


class Several:
    """A reporter that passes on to several."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None:
        """The cells to compute, and those found done."""
        for reporter in self._reporters:
            reporter.begin(cells, reused)

    def progress(self, slug: str, share: float) -> None:
        """A cell has done a share of its work."""
        for reporter in self._reporters:
            reporter.progress(slug, share)

    def failed(self, slug: str, reason: str) -> None:
        """A cell has failed, or what it needs has."""
        for reporter in self._reporters:
            reporter.failed(slug, reason)

    def waiting(self, reasons: Mapping[str, str]) -> None:
        """Why each cell that has not begun has not."""
        for reporter in self._reporters:
            reporter.waiting(reasons)
