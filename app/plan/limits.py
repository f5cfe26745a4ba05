"""What a study may take: pairs that were begun are finished, and no other begins once that would go too far."""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta

from app.plan.cells import Cell, EvaluateCell, Plan, TuneCell

_HOUR = 3600.0


class Purse:
    """An `Admission` that keeps a study within its `limits`.

    A unit is what is begun together: a run with its evaluations, or a base model with its own. A unit begins when what
    is spent, what the units begun still need by the estimate, and what the unit itself needs stay within the limits.
    """

    def __init__(
        self,
        planned: Plan,
        to_do: Collection[str],
        seconds: Callable[[str], float | None],
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`seconds`: slug -> what a cell took, None while it is not done; `now`: left out, a clock that nobody sets."""
        self._limits = planned.study.limits
        self._seconds, self._now = seconds, now or _steady()
        self._units: dict[str, list[Cell]] = {}
        self._runs: dict[str, list[str]] = {}
        wanted = set(to_do)
        for cell in planned.cells:
            unit = _unit(cell)
            self._units.setdefault(unit, []).append(cell)
            if unit != cell.base.slug and unit not in self._runs.setdefault(cell.base.slug, []):
                self._runs[cell.base.slug].append(unit)
        self._took: dict[str, float] = {}  # what is known of cells that are done
        # A unit of which something is done already was begun by an earlier run.
        self._begun = {unit for unit, cells in self._units.items() if any(cell.slug not in wanted for cell in cells)}

    def refuses(self, cell: Cell) -> str:
        """See `Admission`."""
        unit = _unit(cell)
        if unit in self._begun:
            return ""
        asked = self._asked(unit, cell.base.slug)
        reason = self._too_late(asked) or self._too_much(asked)
        if not reason:
            self._begun |= {unit, cell.base.slug}
        return reason

    def _asked(self, unit: str, base: str) -> list[Cell]:
        """What beginning a unit leads to: its base model with it, or the cheapest pair of a base model."""
        units = [unit]
        if unit != base and base not in self._begun:
            units.append(base)
        if unit == base and self._runs.get(base):
            units.append(min(self._runs[base], key=lambda run: sum(cell.cost for cell in self._units[run])))
        return [cell for name in units for cell in self._units.get(name, [])]

    def _too_late(self, asked: Collection[Cell]) -> str:
        deadline = self._limits.deadline
        if deadline is None:
            return ""
        left = (deadline - self._now()).total_seconds()
        if sum(cell.cost for cell in asked) <= left:
            return ""
        return f"it would not be finished by the deadline, {deadline.isoformat()}: set limits.deadline later"

    def _too_much(self, asked: Collection[Cell]) -> str:
        begun = [cell for unit in self._begun for cell in self._units.get(unit, [])]
        for on_gpu, most, what in (
            (False, self._limits.core_hours, "core_hours"),
            (True, self._limits.gpu_hours, "gpu_hours"),
        ):
            if most is None:
                continue
            total = sum(self._hours(cell) for cell in (*begun, *asked) if (cell.needs.gpus > 0) == on_gpu)
            if total > most:
                return f"the budget of {most:g} {what.replace('_', '-')} is taken: raise limits.{what}"
        return ""

    def _hours(self, cell: Cell) -> float:
        """What a cell took, or will take by the estimate."""
        needs = cell.needs
        if cell.slug not in self._took and (took := self._seconds(cell.slug)) is not None:
            self._took[cell.slug] = took * (needs.gpus or needs.cpus) * needs.workers
        estimate = cell.cost * (needs.gpus or 1) * needs.workers
        return self._took.get(cell.slug, estimate) / _HOUR


def spent(planned: Plan, seconds: Mapping[str, float]) -> tuple[float, float]:
    """Core-hours of cells without a GPU, and GPU-hours, of the cells whose seconds are given by slug."""
    hours = [0.0, 0.0]
    for cell in planned.cells:
        needs = cell.needs
        took = seconds.get(cell.slug, 0.0) * (needs.gpus or needs.cpus) * needs.workers
        hours[needs.gpus > 0] += took / _HOUR
    return hours[0], hours[1]


def _steady() -> Callable[[], datetime]:
    """The wall clock as it is now, then carried on by the monotonic one: no cell is left because somebody set it."""
    read, since = datetime.now(UTC), time.monotonic()
    return lambda: read + timedelta(seconds=time.monotonic() - since)


def _unit(cell: Cell) -> str:
    run = cell.run if isinstance(cell, TuneCell | EvaluateCell) else None
    return run.slug if run else cell.base.slug
