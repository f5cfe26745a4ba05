"""How a run looks while it goes: a bar a stage in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.plan import Cell
from app.stages import Reporter

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


class _Stage:
    """Counts of the running stage. Progress is weighted by the cells' estimated cost."""

    def __init__(self, name: str, cells: Sequence[Cell], reused: int) -> None:
        self.name, self.reused, self.started = name, reused, time.monotonic()
        self._costs = {cell.slug: max(cell.cost, 1e-3) for cell in cells}
        self._shares = dict.fromkeys(self._costs, 0.0)
        self.total = sum(self._costs.values())

    def progress(self, slug: str, share: float) -> None:
        self._shares[slug] = max(self._shares.get(slug, 0.0), share)

    @property
    def weight(self) -> float:
        return sum(self._costs.get(slug, 0.0) * share for slug, share in self._shares.items())

    @property
    def cells(self) -> str:
        done = sum(share >= 1 for share in self._shares.values())
        return f"{done}/{len(self._costs)}"

    @property
    def rate(self) -> str:
        done = sum(share >= 1 for share in self._shares.values())
        seconds = time.monotonic() - self.started
        return f"{done / seconds * 60:.0f}/min" if done and seconds > 1 else ""

    @property
    def note(self) -> str:
        return f"{self.reused} reused" if self.reused else ""


class Bars:
    """Bars of a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._stage: _Stage | None = None

    def stage(self, name: str, cells: Sequence[Cell], reused: int) -> None:
        """Close the bar before, open the next."""
        self._stage = _Stage(name, cells, reused)
        stage = self._stage
        self._task = self._progress.add_task(
            name, total=stage.total or 1, completed=0 if cells else 1, cells=stage.cells, rate="", note=stage.note
        )

    def progress(self, slug: str, share: float) -> None:
        """Move the bar."""
        if self._stage is None or self._task is None:
            return
        self._stage.progress(slug, share)
        self._progress.update(self._task, completed=self._stage.weight, cells=self._stage.cells, rate=self._stage.rate)


class Lines:
    """Lines of a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage: _Stage | None = None
        self._told = 0.0

    def stage(self, name: str, cells: Sequence[Cell], reused: int) -> None:
        """Say what begins."""
        self._stage = _Stage(name, cells, reused)
        self._told = time.monotonic()
        self._console.print(f"{name}: {len(cells)} cells to compute, {reused} reused")

    def progress(self, slug: str, share: float) -> None:
        """Say how far it is, every ten seconds and at the end."""
        stage = self._stage
        if stage is None:
            return
        stage.progress(slug, share)
        finished = stage.weight >= stage.total * 0.999999
        if not finished and time.monotonic() - self._told < _EVERY:
            return
        self._told = time.monotonic()
        seconds = self._told - stage.started
        left = seconds * (stage.total / max(stage.weight, 1e-9) - 1)
        rate = f", {stage.rate}" if stage.rate else ""
        self._console.print(f"{stage.name}: {stage.cells} cells{rate}, {seconds:.0f} s gone, about {left:.0f} s left")
