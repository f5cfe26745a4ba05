"""A cell of several workers: a Ray Train run inside its trial, which itself only waits.

Every worker prepares the same model and mixture; the first one writes the result, as a lone process would. Faults that
another try would meet again come back as the run's value: what a worker raises is tried again, on other nodes if need
be, from the last checkpoint. Each worker keeps its part of a checkpoint in a folder of its own, with its hash.
"""

import contextlib
import hashlib
import math
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch
from pyarrow import fs
from ray import train
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2.api.exceptions import ControllerError, TrainingFailedError, WorkerGroupError
from ray.tune.integration.ray_train import TuneReportCallback
from torch import distributed

from app import nodes
from app.errors import DISK_FULL, CellError, FewTuneError, disk_full, passing
from app.plan import Needs, TuneCell
from app.trials import STATE, Payload
from app.tuning import loop
from app.tuning.ends import keep, prepare
from app.tuning.sharding import Team

_RETRIES = 3  # of workers that died; those that were preempted do not count
_PREEMPTIONS = 100
_START_SECONDS = 600  # until workers that wait for room ask anew
_STARTS = 144  # a day of it: the room may be held by other cells
_START = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
_NOTHING, _TELL, _SAVE = 0, 1, 2
Made = TypeVar("Made")


class _Given(NamedTuple):
    """What each worker is told."""

    payload: Payload
    save_every: float
    """Seconds between two checkpoints."""
    tell_every: float
    """Seconds between two reports without one."""


def fit(payload: Payload, save_every: float, tell_every: float) -> None:
    """Tune by several workers; returns when the record is written.

    Raises CellError where the input is at fault, workers keep dying, or no room for them appears, and what they met
    where that may pass.
    """
    cell = cast(TuneCell, payload.cell)
    os.environ.setdefault(_START, str(_START_SECONDS))
    given = _Given(payload, save_every, tell_every)
    for start in range(1, _STARTS + 1):
        try:
            fault = _trainer(cell, given).fit().return_value
        except TrainingFailedError as failure:
            if fault := next((fault for fault in _faults(failure) if passing(fault)), None):
                raise fault from failure  # this very trial is tried again
            if not _late(failure):
                raise CellError(_sentence(failure, cell.needs)) from failure
            unfit = nodes.unfit(cell.needs, nodes.living())
            if unfit or start == _STARTS:
                raise CellError(_roomless(cell.needs, unfit)) from failure
        else:
            if fault:
                raise CellError(cast(str, fault))
            payload.store.delete_folders("trials", _name(cell))  # its checkpoints have served
            return


def _trainer(cell: TuneCell, given: _Given) -> TorchTrainer:
    needs, store = cell.needs, given.payload.store
    per_worker: dict[str, float] = {"CPU": needs.cpus, "memory": needs.memory}
    if needs.gpus:
        per_worker["GPU"] = math.ceil(needs.gpus)  # NCCL wants a GPU for each worker
    callbacks: list[Any] = []
    with contextlib.suppress(RuntimeError):  # outside a trial there is none to tell
        callbacks.append(TuneReportCallback())
    return TorchTrainer(
        partial(_work, given),
        scaling_config=ScalingConfig(
            num_workers=needs.workers, use_gpu=needs.gpus > 0, resources_per_worker=cast(Any, per_worker)
        ),
        run_config=RunConfig(
            name=_name(cell),
            storage_path=store.path("trials"),
            storage_filesystem=None if store.local else store.filesystem,
            callbacks=callbacks,
            failure_config=FailureConfig(
                max_failures=_RETRIES, controller_failure_limit=0, max_preemption_failures=_PREEMPTIONS
            ),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )


def _name(cell: TuneCell) -> str:
    """Of the run: a run of the same name goes on from the last checkpoint; other strategies divide states otherwise."""
    return f"{cell.slug.replace('/', '+')}+{cell.fingerprint}+{cell.run.recipe.strategy}"


def _work(given: _Given) -> str:
    """What each worker does; a fault that all of them meet, in one sentence, else nothing."""
    cell, rank = cast(TuneCell, given.payload.cell), train.get_context().get_world_rank()
    recipe, device = cell.run.recipe, str(get_device())
    team = Team(rank, cell.needs.workers, recipe.strategy, recipe.offload, device)
    try:
        # Under zero3 no device has room for the whole model.
        made = _agreed(lambda: prepare(given.payload, "cpu" if recipe.strategy == "zero3" else device), team.size)
        report = _Report(team, given)
        state = report.state()
        result = loop.train(made.model, made.mixture.examples, made.schedule, cell.run.seed, state, report, team)
        if rank == 0:
            keep(given.payload, made, result)
    except FewTuneError as fault:
        if passing(fault):
            raise
        return str(fault)
    return ""


def _agreed(make: Callable[[], Made], size: int) -> Made:
    """What `make` gives, once it has succeeded on all workers. Raises CellError on all where it failed on one."""
    made, reason = None, ""
    try:
        made = make()
    except FewTuneError as fault:
        if passing(fault):
            raise
        reason = str(fault)
    reasons = [""] * size
    distributed.all_gather_object(reasons, reason)
    if any(reasons):
        raise CellError(next(filter(None, reasons)))
    return cast(Made, made)


class _Report:
    """Reports and checkpoints, which all workers make together when the first one's clock says so."""

    def __init__(self, team: Team, given: _Given) -> None:
        self._team, self._save_every, self._tell_every = team, given.save_every, given.tell_every
        self._store = given.payload.store
        self._saved = self._told = time.monotonic()
        self._leaving: object = None
        self._fetched = tempfile.TemporaryDirectory(prefix="fewtune-state-")

    def __call__(self, done: int, total: int, save: Callable[[Path], None]) -> None:
        due = self._due()
        if due == _NOTHING:
            return
        leaving = train.get_preemption_info()  # the same on all workers
        metrics = {"share": done / total}
        if due == _SAVE or (leaving is not None and leaving != self._leaving):
            self._leaving = leaving
            with tempfile.TemporaryDirectory(prefix="fewtune-state-") as folder:
                part = Path(folder) / self._part
                part.mkdir()
                save(part / STATE)
                (part / "sha256").write_text(_digest(part / STATE))
                with self._store.filling():
                    train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
            self._saved = time.monotonic()
        else:
            train.report(metrics)
        self._told = time.monotonic()

    def state(self) -> Path | None:
        """This worker's part of the newest checkpoint whose parts are all intact."""
        for reported in reversed(train.get_all_reported_checkpoints()):
            part = self._fetch(reported.checkpoint)
            intact = torch.tensor(float(part is not None), device=self._team.device)
            distributed.all_reduce(intact, distributed.ReduceOp.MIN)
            if intact.item():
                return part
        return None

    def _due(self) -> int:
        now = time.monotonic()
        due = _TELL if now - self._told >= self._tell_every else _NOTHING
        due = _SAVE if now - self._saved >= self._save_every else due
        told = torch.tensor(due, device=self._team.device)
        distributed.broadcast(told, 0)
        return int(told.item())

    def _fetch(self, checkpoint: Checkpoint) -> Path | None:
        here = Path(self._fetched.name) / Path(checkpoint.path).name
        here.mkdir()
        try:
            fs.copy_files(f"{checkpoint.path}/{self._part}", str(here), checkpoint.filesystem, fs.LocalFileSystem())
            return here / STATE if _digest(here / STATE) == (here / "sha256").read_text() else None
        except FileNotFoundError:
            return None

    @property
    def _part(self) -> str:
        return f"worker-{self._team.rank}"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _late(failure: TrainingFailedError) -> bool:
    """Whether the workers did not start in time, or died as they did."""
    from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError

    return isinstance(failure, ControllerError) and isinstance(
        failure.controller_failure, WorkerGroupStartupFailedError | WorkerGroupStartupTimeoutError
    )


def _roomless(needs: Needs, unfit: str) -> str:
    return (
        f"its {needs.workers} workers found no room: it {unfit or 'waited for a day'}; lower `workers` or `resources`, "
        f"or start larger nodes"
    )


def _faults(failure: TrainingFailedError) -> list[Exception]:
    """What its workers met."""
    if not isinstance(failure, WorkerGroupError):
        return []
    return [getattr(fault, "_base_exc", fault) for fault in failure.worker_failures.values()]


def _sentence(failure: TrainingFailedError, needs: Needs) -> str:
    """The first fault below what Ray Train raised."""
    faults = _faults(failure)
    if faults:
        if any(disk_full(fault) for fault in faults):
            return DISK_FULL
        fault = faults[0]
        times = f"its {needs.workers} workers failed {_RETRIES + 1} times, the last time with"
    else:
        fault = failure.controller_failure if isinstance(failure, ControllerError) else failure
        times = f"its {needs.workers} workers could not be run:"
    first = (str(fault).strip().splitlines() or [""])[0]
    return f"{times} {type(fault).__name__}: {first[:300]}"
