"""Cells as Ray Tune trials: as many at once as the cluster has room for, each resumable at its last checkpoint.

The work of a cell is a plain function of a payload and a `Progress`. Tune's own checkpoints serve a worker that dies;
a driver that dies leaves them in the store, where the next run finds them. Results never pass through here: the work
writes its artefacts and, last, its record.
"""

import hashlib
import logging
import os
import re
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, cast

from ray import tune
from ray.exceptions import RayActorError, RayError
from ray.tune import Callback, Checkpoint, CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig
from ray.tune.search import Searcher

from app import nodes
from app.errors import DISK_FULL, CellError, FewTuneError, disk_full, passing
from app.plan import TRIALS, Cell, Kind, Needs, Schedule
from app.store import Store

STATE = "state.pt"
_DIGEST = ".sha256"  # of a file's name, which begins with the steps done
_RETRIES = 8  # of a trial whose worker or node died; a fault of the input is not tried again
PAUSE = 20.0  # seconds: a full disk and a store that is away (51 seconds a try already) need time
_PENDING = 200  # trials that wait for room: the autoscaler starts nodes for them


@dataclass(frozen=True)
class Payload:
    """What a worker is sent."""

    cell: Cell
    store: Store
    mirror: str | None
    """Folder of local Parquet files that stand in for the hub."""
    resume: tuple[str, ...] = ()
    """Checkpoints that earlier runs left, by their paths within the store, the furthest first."""


Work = Callable[[Payload, "Progress"], None]
Done = Callable[[str, float], None]
"""Called in the driver with a cell's slug and the share done, 0 to 1."""


@dataclass
class Progress:
    """What a trial tells Tune: how far it is, and now and then its state."""

    payload: Payload
    save_every: float = 30.0
    """Seconds between two checkpoints."""
    tell_every: float = 2.0
    """Seconds between two reports without one."""
    pause: float = PAUSE
    """Seconds before a fault that may pass is met by another try."""
    _saved: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)
    _fetched: tempfile.TemporaryDirectory[str] | None = None
    """Holds the state that the trial begins with, and goes with this object."""

    def state(self) -> Path | None:
        """The furthest intact state file of this cell, if any; it is there as long as this object is."""
        current, store = tune.get_checkpoint(), self.payload.store
        if current is None and not self.payload.resume:
            return None
        self._fetched = tempfile.TemporaryDirectory(prefix="fewtune-state-")
        here = Path(self._fetched.name)
        if current is not None:
            return Path(current.to_directory(str(here))) / STATE
        return next((state for folder in self.payload.resume if (state := _intact(store, folder, here))), None)

    def __call__(self, done: int, total: int, save: Callable[[Path], None] | None = None) -> None:
        """Report `done` of `total` steps; `save` writes the state, and is called when a checkpoint is due.

        Raises LeavingError once the state is saved on a node that is about to go: Tune goes on elsewhere.
        """
        now = time.monotonic()
        leaving = save is not None and done < total and nodes.draining() is not None
        if save is None or (now - self._saved < self.save_every and not leaving):
            if now - self._told >= self.tell_every:
                self._told = now
                tune.report({"share": done / total})
            return
        with tempfile.TemporaryDirectory(prefix="fewtune-state-") as folder:
            save(Path(folder) / STATE)
            (Path(folder) / f"{done}{_DIGEST}").write_text(_digest(Path(folder) / STATE))
            with self.payload.store.filling():
                tune.report({"share": done / total}, checkpoint=Checkpoint.from_directory(folder))
        self._saved = self._told = time.monotonic()
        if leaving:
            raise LeavingError(f"{self.payload.cell.slug} leaves a node that is about to go")


class LeavingError(RayActorError):
    """A trial's state is saved, and its node is about to go: a preemption, which Ray counts as no failure."""

    def __init__(self, told: str) -> None:
        super().__init__(error_msg=told, preempted=True)


def run(schedule: Schedule, works: Mapping[Kind, Work], store: Store, mirror: str | None, done: Done) -> None:
    """Run the schedule's trials as they become ready; returns when none is left that could begin.

    What fails is told to the schedule. `works` must be importable by workers.
    """
    cells = [cell for cell in schedule.cells.values() if cell.kind in TRIALS]
    if not cells:
        return
    left = _left(store)
    payloads = {cell.slug: Payload(cell, store, mirror, left.get(_folder(cell), ())) for cell in cells}
    os.environ.update(TUNE_DISABLE_SIGINT_HANDLER="1", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_AIR_NEW_OUTPUT="0")
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(_PENDING)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are told by the caller, once

    def trial(config: dict[str, str], payloads: dict[str, Payload]) -> None:
        payload = payloads[config["cell"]]
        progress, reason = Progress(payload), ""
        try:
            if payload.store.read_record(payload.cell.slug) is None:
                works[payload.cell.kind](payload, progress)
        except Exception as fault:
            if told := passing(fault):
                time.sleep(progress.pause)
                raise CellError(told) from fault
            reason = _final(fault)
            if not reason:
                raise
        tune.report({"share": 1.0, "failure": reason})

    has_drivers = any(nodes.DRIVER in node.resources for node in nodes.living())
    groups = {cell.slug: _group(cell.needs, has_drivers) for cell in cells}
    folders = {cell.slug: _folder(cell) for cell in cells}
    name = lambda trial: folders[trial.config["cell"]]  # noqa: E731 - Tune wants a callable of one trial
    follow = _Follow(schedule, done)
    while not schedule.over(TRIALS):  # once more where a cell was put back after Tune had asked for its last
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(trial, payloads=payloads), cast(Any, lambda config: groups[config["cell"]])
            ),
            tune_config=tune.TuneConfig(
                search_alg=_Feed(schedule),
                num_samples=-1,
                # One process serves many small CPU trials (1 s instead of 4 s each); a GPU trial starts clean.
                reuse_actors=all(cell.needs.gpus == 0 and cell.needs.workers == 1 for cell in cells),
                trial_name_creator=name,
                trial_dirname_creator=name,
            ),
            run_config=RunConfig(
                name=f"trials-{time.time_ns()}",
                storage_path=store.path("trials"),
                storage_filesystem=store.filesystem,
                callbacks=[follow],
                failure_config=FailureConfig(max_failures=_RETRIES),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
                verbose=0,
            ),
        )
        tuner.fit()
    if not schedule.failed:  # the checkpoints have served
        store.delete_folders("trials", "")


class _Deaf:
    """Tune pickles what it is given with the experiment; what listens stays in the driver."""

    def __reduce__(self) -> tuple[type["_Deaf"], tuple[()]]:
        return _Deaf, ()


class _Feed(_Deaf, Searcher):
    """What Tune asks for its next trial: it hands out cells as they become ready."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def suggest(self, trial_id: str) -> dict[str, str] | None:
        taken = self._schedule.take(TRIALS)
        if taken:
            return {"cell": taken[0].slug}
        return cast(Any, Searcher.FINISHED) if self._schedule.over(TRIALS) else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


class _Follow(_Deaf, Callback):
    """Hears of trials while Tune runs."""

    def __init__(self, schedule: Schedule, done: Done) -> None:
        self._schedule, self._done = schedule, done
        self._unbegun: Counter[str] = Counter()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._schedule.started(trial.config["cell"])
        self._done(trial.config["cell"], 0.0)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        slug = trial.config["cell"]
        if "failure" in result:
            self._schedule.end(slug, result["failure"])
        self._done(slug, result.get("share", 0.0))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        slug = trial.config["cell"]
        # A worker that dies before it has taken its next trial up fails that trial for good, whatever tries are left.
        if trial.should_recover() and self._unbegun[slug] < _RETRIES:
            self._unbegun[slug] += 1
            self._schedule.put_back(slug)
            return
        told = Path(trial.error_file).read_text().strip() if trial.error_file else ""
        reason = (
            told.splitlines()[-1].removeprefix(f"{CellError.__module__}.{CellError.__qualname__}: ") if told else ""
        )
        self._schedule.end(slug, reason or "its worker died")
        self._done(slug, 1.0)


def _final(fault: Exception) -> str:
    """The reason of a failure that another try would meet again; empty where it is worth one."""
    if isinstance(fault, FewTuneError):
        return str(fault)
    if disk_full(fault):
        return DISK_FULL
    if isinstance(fault, OSError | RayError):
        return ""
    logging.getLogger(__name__).error("%s", traceback.format_exc())
    return f"{type(fault).__name__}: {fault}".splitlines()[0]


def _folder(cell: Cell) -> str:
    """One path segment for a cell; the fingerprint keeps a changed cell from another's checkpoints."""
    return f"{cell.slug.replace('/', '+')}+{cell.fingerprint}"


def _group(needs: Needs, has_drivers: bool) -> PlacementGroupFactory:
    """What a trial holds; one with several workers only waits for them, on a node that is not taken away."""
    if needs.workers > 1:
        return PlacementGroupFactory([{nodes.DRIVER: 1.0} if has_drivers else {"CPU": 0.01}])
    bundle: dict[str, float] = {"CPU": needs.cpus, "memory": needs.memory}
    if needs.gpus:
        bundle["GPU"] = needs.gpus
    return PlacementGroupFactory([bundle])


def _left(store: Store) -> dict[str, tuple[str, ...]]:
    """Folder of a cell -> checkpoints of it that earlier runs left in the store, the furthest first.

    No clock tells which is newer, but the file of its hash says how many steps a checkpoint has seen.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for path in map(PurePosixPath, store.sizes("trials")):
        if path.match(f"trials/*/*/checkpoint_*/[0-9]*{_DIGEST}"):
            cell = re.sub(r"(\+[0-9a-f]+)_\w+$", r"\1", path.parts[2])  # a cell begun twice has a second folder
            found.setdefault(cell, []).append((int(path.stem), str(path.parent)))
    return {cell: tuple(folder for _, folder in sorted(those, reverse=True)) for cell, those in found.items()}


def _intact(store: Store, folder: str, scratch: Path) -> Path | None:
    """A local state file of a checkpoint in the store, where it is what was saved."""
    here = Path(store.path(folder))
    if store.local is None:
        here = scratch / folder
        store.fetch(folder, here)
    state, digest = here / STATE, next(here.glob(f"*{_DIGEST}"), None)
    return state if state.is_file() and digest and _digest(state) == digest.read_text() else None


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
