"""The cells of a plan, computed: trials of Ray Tune and waves of Ray Data side by side, fed by one schedule.

Base models are evaluated while others are tuned, and a tuned model as soon as there is room. On a machine whose cores
are all busy with trials nothing is gained by that, and evaluation waits until a wave is worth its start.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from app import trials
from app.errors import AwayError, CellError, TaskError
from app.evaluation import requests, stream
from app.plan import EVALUATIONS, TRIALS, Ended, EvaluateCell, Kind, Plan, Purse, Schedule, schedule
from app.pretraining import trial as pretraining
from app.stages import analysing
from app.stages.reporter import Reporter
from app.store import Store
from app.tasks import loading
from app.tasks.planned import task_of
from app.tasks.task import Task, TaskData
from app.trials import PAUSE, Work
from app.tuning import trial as tuning

_WORKS: Mapping[Kind, Work] = {"pretrain": pretraining.pretrain, "convert": pretraining.convert, "tune": tuning.tune}
_WORTH = 60.0  # seconds of work for each actor that make a wave worth its start while trials have all the room
_WAVES = 4  # at once: a cluster that grows answers new models while the last wave is out
_TICK = 1.0  # seconds between two looks at what became ready
_TRIES = 8  # of an evaluation that met a fault which may pass
_LEAVE = 30.0  # seconds in which threads have ended that were told to
_TOLD = 5.0  # seconds between two words on what waits


def compute(
    planned: Plan, to_do: set[str], store: Store, mirror: str | None, reporter: Reporter
) -> tuple[list[Ended], list[Ended]]:
    """Compute the cells that are `to_do`; returns those that failed and those that the study's limits left."""

    def load(task: Task) -> TaskData:
        return loading.load(task, mirror)

    def seconds(slug: str) -> float | None:
        record = store.read_record(slug)
        return record.seconds if record else None

    limits = planned.study.limits
    limited = any(limit is not None for limit in (limits.core_hours, limits.gpu_hours, limits.deadline))
    ordered = schedule(planned, to_do, Purse(planned, to_do, seconds) if limited else None)
    evaluations = _Evaluations(planned.study.name, ordered, store, load, reporter)
    evaluations.start()
    try:
        trials.run(ordered, _WORKS, store, mirror, reporter.progress)
        evaluations.join()
    finally:
        evaluations.stop()
        evaluations.leave()
    analysing.audit(planned, store, load)
    return ordered.failed, ordered.left


class _Evaluations:
    """Watches a schedule from a thread of its own, and sends out waves of what became ready."""

    def __init__(
        self, study: str, ordered: Schedule, store: Store, load: Callable[[Task], TaskData], reporter: Reporter
    ) -> None:
        self._study, self._schedule, self._store, self._load, self._reporter = study, ordered, store, load, reporter
        self._thread = threading.Thread(target=self._guarded, args=(self._watch,), daemon=True)
        self._out: dict[threading.Thread, int] = {}
        """Waves that are out, with their actors."""
        self._told = 0
        self._met: Counter[str] = Counter()
        """Slug -> faults that may pass."""
        self._stopped = threading.Event()
        self._fault: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Return when all evaluations have ended. Raises what one of the threads raised."""
        while self._thread.is_alive():
            self._thread.join(_TICK / 4)  # a signal is heard between two of these
        if self._fault:
            raise self._fault
        self._tell(0.0)

    def stop(self) -> None:
        """Nothing more begins."""
        self._stopped.set()
        self._schedule.close()

    def leave(self) -> None:
        """Return when no thread uses Ray any more: it is shut down next, and takes the process along otherwise."""
        until = time.monotonic() + _LEAVE
        for thread in (self._thread, *self._out):
            thread.join(max(0.0, until - time.monotonic()))

    def _guarded(self, work: Callable[..., None], *given: object) -> None:
        try:
            work(*given)
        except BaseException as fault:
            if not self._stopped.is_set():
                self._fault = self._fault or fault
            self.stop()

    def _watch(self) -> None:
        since = _TOLD
        while not self._stopped.is_set():
            self._out = {wave: actors for wave, actors in self._out.items() if wave.is_alive()}
            since = self._tell(since)
            if self._schedule.over(EVALUATIONS) and not self._out:
                return
            ready = [cast(EvaluateCell, cell) for cell in self._schedule.ready(EVALUATIONS)]
            actors = stream.actors(ready) if ready else 0
            if ready and len(self._out) < _WAVES and self._worth(ready, actors):
                taken = [cast(EvaluateCell, cell) for cell in self._schedule.take(EVALUATIONS, len(ready))]
                wave = threading.Thread(target=self._guarded, args=(self._wave, taken), daemon=True)
                self._out[wave] = actors
                wave.start()
            else:
                self._schedule.wait(_TICK)

    def _worth(self, ready: Sequence[EvaluateCell], actors: int) -> bool:
        """Whether a wave pays now: no trial will want the room, or there is some, or there is much to do."""
        busy = len(self._schedule.busy(TRIALS)) + len(self._schedule.ready(TRIALS)) + sum(self._out.values())
        if not busy or (busy < actors and not self._out):
            return True
        return not self._out and sum(cell.cost for cell in ready) > _WORTH * actors

    def _wave(self, cells: Sequence[EvaluateCell]) -> None:
        able, again = list[EvaluateCell](), list[str]()

        def end(slug: str, failure: str, passing: bool) -> None:
            if passing and self._met[slug] < _TRIES:
                self._met[slug] += 1
                again.append(slug)
            else:
                self._end(slug, failure)

        for cell in cells:
            try:
                pool = [(task, self._load(task)) for task in map(task_of, cell.cross_task)]
                requests.write(cell, self._load(task_of(cell.task)), self._store, pool)
            except AwayError as fault:
                end(cell.slug, str(fault), True)
                continue
            except (TaskError, CellError) as fault:  # data that is absent takes its own task along alone
                self._end(cell.slug, str(fault))
                continue
            able.append(cell)
        stream.evaluate(self._study, able, self._store, end, self._stopped)
        if again:
            self._stopped.wait(PAUSE)
        for slug in again:
            self._schedule.put_back(slug)

    def _end(self, slug: str, failure: str) -> None:
        self._schedule.end(slug, failure)
        self._reporter.progress(slug, 1.0)

    def _tell(self, since: float) -> float:
        """Pass on failures as they come, and what waits now and then; returns the seconds since that."""
        ended = self._schedule.failed
        for slug, reason in ended[self._told :]:
            self._reporter.failed(slug, reason)
        self._told = len(ended)
        if since < _TOLD:
            return since + _TICK
        self._reporter.waiting(self._schedule.waiting())
        return 0.0
