"""The keeper of a run's state: a reporter that writes to the store. A run that is killed leaves its last state."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType

from app.errors import FewTuneError
from app.launch.state import PLAN, STATE, Outlined, Phase, Running, State, Waiting, Wasted, outline, read
from app.plan import Cell, Plan
from app.store import Store

_EVERY = 5.0  # seconds between two writes: a request to object storage each
_EXAMPLES = 5  # cells named for a reason to wait: thousands may wait for the same
_LONGEST = 500  # characters of a reason


class Journal:
    """A reporter that keeps the state in the store; a context manager around the run.

    Nothing is written before the run begins, since the store may be another's. A write that fails is told once in the
    log and tried again with the next beat: it never takes the run along.
    """

    def __init__(
        self, store: Store, planned: Plan, job: str | None = None, every: float = _EVERY, *, retry: str = ""
    ) -> None:
        self._store, self._outline, self._job, self._every = store, outline(planned), job, every
        self._retry = retry
        self._held = {cell.slug: cell for cell in self._outline.cells}
        self._run, self._beat = uuid.uuid4().hex[:8], 0
        self._lock, self._writing, self._ended = threading.Lock(), threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._began: float | None = None
        self._cells: dict[str, Cell] = {}
        self._reused: dict[str, int] = {}
        self._shares: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        self._waiting: Mapping[str, str] = {}
        self._wasted = Wasted(0.0, 0.0)
        self._troubled = False

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._began is None:
            return
        self._ended.set()
        if self._thread:
            self._thread.join()
        phase: Phase = "done" if kind is None else "failed" if issubclass(kind, Exception) else "stopped"
        before = self._before()
        if self._cells or before is None or before.phase != phase:  # a run that did nothing leaves the same bytes
            told = str(fault) if isinstance(fault, FewTuneError | OSError) else kind.__name__ if kind else ""
            self._write(phase, told if phase == "failed" else "")

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None:
        """The run has the store: from now on its state is kept."""
        before = self._before()
        if before:
            self._wasted = _wasted(before.wasted, before.running, self._held)
        self._began = time.monotonic()
        self._cells = {cell.slug: cell for cell in cells}
        self._reused = _kinds(reused)
        self._put(PLAN, json.dumps(self._outline._asdict()))
        if cells:
            self._thread = threading.Thread(target=self._keep, daemon=True)
            self._thread.start()

    def progress(self, slug: str, share: float) -> None:
        """A cell has done a share of its work."""
        with self._lock:
            self._heard.setdefault(slug, time.monotonic())
            self._shares[slug] = share

    def failed(self, slug: str, reason: str) -> None:
        """A cell has failed, or what it needs has."""
        with self._lock:
            self._failed[slug] = reason[:_LONGEST]
            held, since = self._held.get(slug), self._heard.get(slug)
            if held and since is not None:
                self._wasted = self._wasted.plus(held, time.monotonic() - since)

    def waiting(self, reasons: Mapping[str, str]) -> None:
        """Why each cell that has not begun has not."""
        with self._lock:
            self._waiting = dict(reasons)

    def _keep(self) -> None:
        self._write(None, "")
        while not self._ended.wait(self._every):
            self._write(None, "")

    def _write(self, phase: Phase | None, fault: str) -> None:
        """Write the state; `phase` None: the run goes on."""
        with self._writing:
            self._beat += 1
            self._put(STATE, json.dumps(asdict(self._state(phase, fault))))

    def _put(self, name: str, text: str) -> None:
        try:
            self._store.write_text(name, text)
        except (FewTuneError, OSError) as trouble:
            if not self._troubled:
                logging.getLogger(__name__).warning("the state of the run was not kept: %s", trouble)
            self._troubled = True

    def _before(self) -> State | None:
        try:
            return read(self._store)
        except (FewTuneError, OSError):
            return None

    def _state(self, phase: Phase | None, fault: str) -> State:
        with self._lock:
            now = time.monotonic()
            over = {slug for slug, share in self._shares.items() if share >= 1} | set(self._failed)
            done = [self._cells[slug] for slug in over if slug in self._cells and slug not in self._failed]
            running = {
                slug: Running(round(share, 3), round(now - self._heard[slug], 1))
                for slug, share in self._shares.items()
                if slug not in over
            }
            total = sum(max(cell.cost, 1e-3) for cell in self._cells.values())
            weights = ((cell, 1.0 if slug in over else self._shares.get(slug, 0)) for slug, cell in self._cells.items())
            weight = sum(max(cell.cost, 1e-3) * share for cell, share in weights)
            return State(
                run=self._run,
                beat=self._beat,
                job=self._job,
                phase=phase or ("analysing" if len(over) >= len(self._cells) else "computing"),
                fault=fault,
                written=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(now - (self._began or now), 1),
                to_do=_kinds(list(self._cells.values())),
                done=_kinds(done),
                reused=self._reused,
                share=round(weight / total, 6) if total else 1.0,
                running=running if phase is None else {},
                failed=_by_reason(self._failed),
                waiting=_examples(_by_reason({s: why for s, why in self._waiting.items() if s not in over})),
                retry=self._retry,
                wasted=self._wasted if phase is None else _wasted(self._wasted, running, self._held),
            )


def _wasted(before: Wasted, running: Mapping[str, Running], held: Mapping[str, Outlined]) -> Wasted:
    """With what cells at work have taken, which nothing will come of."""
    for slug, at in running.items():
        if slug in held:
            before = before.plus(held[slug], at.seconds)
    return before


def _kinds(cells: Sequence[Cell]) -> dict[str, int]:
    found: dict[str, int] = {}
    for cell in cells:
        found[cell.kind] = found.get(cell.kind, 0) + 1
    return found


def _by_reason(reasons: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for slug, reason in reasons.items():
        found.setdefault(reason, []).append(slug)
    return {reason: tuple(slugs) for reason, slugs in found.items()}


def _examples(reasons: Mapping[str, tuple[str, ...]]) -> dict[str, Waiting]:
    return {reason: Waiting(len(slugs), slugs[:_EXAMPLES]) for reason, slugs in reasons.items()}
