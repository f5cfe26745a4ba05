"""How a study stands, for the terminal and as JSON: one phase line, the grid of pairs, what runs, waits and failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from app.grammar import counted
from app.launch.overview import Cause, Grid, Overview, Pair, Spend, Standing
from app.launch.remote import Job
from app.launch.state import ENDED

_SYMBOLS: dict[Standing, tuple[str, str]] = {
    "done": ("●", "green"),
    "part": ("◐", "yellow"),
    "running": ("▶", "cyan"),
    "waiting": ("·", "dim"),
    "failed": ("✗", "bold red"),
    "none": (" ", ""),
}
_VOID = ("–", "red")  # a side whose counterpart failed: it counts for nothing
_LEGEND = "left base, right tuned: ● done  ◐ partly  ▶ at work  · waiting  ✗ failed  – void, the other side failed"
_ROWS = 40  # base models that a screen shows one by one
_LABEL = 28  # characters of a row's name
_SHOWN = 8  # cells at work, causes or reasons that are listed
_KINDS = {"pretrain": "pretrained", "convert": "converted", "tune": "tuned", "evaluate": "evaluated"}


class View(NamedTuple):
    """All that is shown at one moment."""

    overview: Overview
    job: Job | None
    """The job that computes, or did; None: none is known."""
    silent: float
    """Seconds for which the run has given no sign of life, as far as was watched."""
    retry: str
    """The command that goes on."""
    note: str = ""
    """Why the cluster could not be asked."""
    estimate: str = ""
    """The study's correlation, of what is finished; empty where nothing can be said yet."""

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        state = self.overview.state
        if self.unbegun:
            return self.job is not None and self.job.ended
        return (state is not None and state.phase in ENDED) or (self.job is not None and self.job.ended)

    @property
    def unbegun(self) -> bool:
        """Whether the job has not begun to compute, or was refused before it did: the state is an earlier run's.

        Which of two is the later is told by the clocks of the cluster alone: a run on this machine may have followed.
        """
        state, job = self.overview.state, self.job
        if job is None or job.status == "SUCCEEDED" or (state and state.job == job.id):
            return False
        return not job.ended or state is None or job.began / 1000 > datetime.fromisoformat(state.written).timestamp()


def unbegun(job: Job) -> str:
    """That a job has not begun to compute, or why it never did."""
    if not job.ended:
        return f"the job {job.id} is {job.status.lower()}, and has not begun to compute"
    told = f": {job.fault}" if job.fault else ""
    return f"the job {job.id} {'failed' if job.status == 'FAILED' else 'ended'} before it began to compute{told}"


def phase(view: View) -> str:
    """The phase in one line."""
    state, job = view.overview.state, view.job
    counts = view.overview.counts()
    cells = ", ".join(f"{done}/{planned} {_KINDS[kind]}" for kind, (done, planned) in counts.items())
    failed = len(view.overview.failed())
    ended = f"{counted(failed, 'cell')} failed, " if failed else ""
    if job and view.unbegun:
        return f"{unbegun(job)}; in the store are {cells}"
    if state is None:
        return f"no run has kept a journal: {cells}"
    if state.phase not in ENDED and job and job.ended:
        told = f" ({job.fault})" if job.fault else ""
        return f"died: the job ended {job.status.lower()} while {state.phase}{told}; {ended}{cells}"
    if state.phase == "failed":
        return f"failed: {state.fault}; {ended}{cells}"
    left = f"; about {_duration(state.left)} left" if state.left is not None else ""
    silent = f"; no sign of life for {_duration(view.silent)}" if view.silent else ""
    return f"{state.phase}: {ended}{cells}{left}{silent}"


def render(view: View, width: int) -> RenderableType:
    """The whole screen."""
    seen, state = view.overview, view.overview.state
    lines: list[Text] = [Text(f"{seen.study}  {seen.store}", style="dim"), Text(phase(view), style="bold")]
    if view.job:
        lines.append(Text(f"job {view.job.id} {view.job.status.lower()}"))
    if view.note:
        lines.append(Text(f"the cluster was not asked: {view.note}", style="yellow"))
    if state:
        heard = f"written {state.written} by the clock of the run, {_duration(state.seconds)} after it began"
        lines.append(Text(heard, style="dim"))
    lines += _grid(seen, width)
    if view.estimate:
        lines.append(Text(view.estimate))
    if state and not view.ended:
        lines += _running(view)
    if state:
        lines += _waiting(view)
    lines += _failures(view)
    spent, estimate = seen.spent(), seen.estimate()
    lines.append(Text(f"spent {_hours(spent, estimate)}"))
    return Group(*lines)


def again(view: View) -> str:
    """How to try the failed cells again; empty where none failed. Not of the screen: a command must not be wrapped."""
    return f"try them again: {view.retry}" if view.overview.causes() else ""


def as_json(view: View) -> dict[str, object]:
    """The same for programs."""
    seen, state, job = view.overview, view.overview.state, view.job
    grid = seen.grid()
    return {
        "study": seen.study,
        "store": seen.store,
        "phase": state.phase if state else None,
        "line": phase(view),
        "ended": view.ended,
        "fault": state.fault if state else "",
        "job": {"id": job.id, "status": job.status, "fault": job.fault} if job else None,
        "run": state.run if state else None,
        "beat": state.beat if state else None,
        "written": state.written if state else None,
        "seconds": state.seconds if state else None,
        "left_seconds": state.left if state else None,
        "cells": {kind: {"done": done, "planned": planned} for kind, (done, planned) in seen.counts().items()},
        "running": {slug: at._asdict() for slug, at in state.running.items()} if state else {},
        "waiting": {reason: waiting._asdict() for reason, waiting in state.waiting.items()} if state else {},
        "failed": [cause._asdict() for cause in seen.causes()],
        "failed_with_them": seen.dragged(),
        "retry": view.retry if seen.failed() else None,
        "estimate": view.estimate,
        "spent_hours": seen.spent()._asdict(),
        "estimated_hours": seen.estimate()._asdict(),
        "pairs": [
            {"base": row, "task": column, "base_side": pair.base, "tuned_side": pair.tuned, "void": pair.void}
            for (row, column), pair in grid.pairs.items()
        ],
    }


def _grid(seen: Overview, width: int) -> list[Text]:
    """The grid, as fine as the width allows: tasks or else clusters of tasks, base models or else families."""
    grid = seen.grid()
    if not grid.rows:
        return []
    rows = "base" if len(grid.rows) <= _ROWS else "family"
    label = min(_LABEL, max(map(len, seen.grid(rows).rows)))
    room = (width - label - 1) // 3
    grid = seen.grid(rows, "task" if len(grid.columns) <= room else "cluster")
    lines = [Text(" " * (label + 1) + "".join(f"{index:>2} " for index in range(1, len(grid.columns) + 1)), "dim")]
    for row in grid.rows:
        line = Text(f"{row[:label]:<{label}} ")
        for column in grid.columns:
            line.append_text(_pair(grid, row, column)).append(" ")
        lines.append(line)
    named = ", ".join(f"{index} {name}" for index, name in enumerate(grid.columns, 1))
    return [*lines, Text(named, "dim"), Text(_LEGEND, "dim")]


def _pair(grid: Grid, row: str, column: str) -> Text:
    pair: Pair = grid.pairs[row, column]
    shown = Text()
    for side in pair:
        shown.append(*(_VOID if pair.void and side not in ("failed", "none") else _SYMBOLS[side]))
    return shown


def _running(view: View) -> list[Text]:
    state = view.overview.state
    running = sorted(state.running.items(), key=lambda item: item[0]) if state else []
    lines = [Text(f"  ▶ {slug}  {at.share:.0%} in {_duration(at.seconds)}", "cyan") for slug, at in running[:_SHOWN]]
    return [Text(f"{counted(len(running), 'cell')} at work"), *lines, *_more(running)] if running else []


def _waiting(view: View) -> list[Text]:
    state = view.overview.state
    reasons = sorted(state.waiting.items(), key=lambda item: -item[1].cells) if state else []
    return [
        Text(
            f"{counted(waiting.cells, 'cell waits', 'cells wait')}: {reason} (for example {waiting.examples[0]})",
            "dim",
        )
        for reason, waiting in reasons[:_SHOWN]
    ]


def _failures(view: View) -> list[Text]:
    causes: list[Cause] = view.overview.causes()
    if not causes:
        return []
    count, dragged = sum(len(cause.cells) for cause in causes), view.overview.dragged()
    also = f", and {dragged} that rest on them" if dragged else ""
    lines = [Text(f"{counted(count, 'cell')} failed of {counted(len(causes), 'cause')}{also}", "bold red")]
    for cause in causes[:_SHOWN]:
        lines.append(Text(f"  {len(cause.cells)} × {cause.reason} (for example {cause.cells[0]})", "red"))
    return [*lines, *_more(causes)]


def _more(shown: Sequence[object]) -> list[Text]:
    return [Text(f"  and {len(shown) - _SHOWN} more", "dim")] if len(shown) > _SHOWN else []


def _hours(spent: Spend, estimate: Spend) -> str:
    parts = [
        f"{_amount(used)} of {what} time of {_amount(planned)} estimated"
        for what, used, planned in (("core", spent.cores, estimate.cores), ("GPU", spent.gpus, estimate.gpus))
        if used or planned
    ]
    return ", ".join(parts) or "nothing"


def _amount(hours: float) -> str:
    return _duration(hours * 3600)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
