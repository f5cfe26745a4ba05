"""Cells as Ray Tune trials: longest first, as many at once as their needs allow, each resumable at its last checkpoint.

The work of a cell is a plain function of a payload and a `Progress`. Tune's own checkpoints serve a worker that dies;
a driver that dies leaves them in the store, where the next run finds them. Results never pass through here: the work
writes its artefacts and, last, its record.
"""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import ray
from ray import tune
from ray.tune import Callback, Checkpoint, CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig

from app.errors import DISK_FULL, CellError, FewTuneError, disk_full
from app.plan import Cell, Needs
from app.store import Store

STATE = "state.pt"
_RETRIES = 2  # of a trial whose worker died; a fault of the input is not tried again


class Failure(NamedTuple):
    """A cell that did not finish, and why."""

    slug: str
    reason: str


@dataclass(frozen=True)
class Payload:
    """What a worker is sent."""

    cell: Cell
    store: Store
    mirror: str | None
    """Folder of local Parquet files that stand in for the hub."""
    resume: tuple[str, ...] = ()
    """Checkpoints that an earlier run left, newest first."""


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
    _saved: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def state(self) -> Path | None:
        """The newest intact state file of this cell, if any."""
        current = tune.get_checkpoint()
        if current is not None:
            folder = Path(tempfile.mkdtemp(prefix="fewtune-state-"))
            current.to_directory(str(folder))
            return folder / STATE
        return next((state for folder in self.payload.resume if (state := _intact(Path(folder)))), None)

    def __call__(self, done: int, total: int, save: Callable[[Path], None] | None = None) -> None:
        """Report `done` of `total` steps; `save` writes the state, and is called when a checkpoint is due."""
        now = time.monotonic()
        if save is None or now - self._saved < self.save_every:
            if now - self._told >= self.tell_every:
                self._told = now
                tune.report({"share": done / total})
            return
        with tempfile.TemporaryDirectory(prefix="fewtune-state-") as folder:
            save(Path(folder) / STATE)
            digest = hashlib.sha256((Path(folder) / STATE).read_bytes()).hexdigest()
            (Path(folder) / "sha256").write_text(digest)
            tune.report({"share": done / total}, checkpoint=Checkpoint.from_directory(folder))
        self._saved = self._told = time.monotonic()


def run(cells: Sequence[Cell], work: Work, store: Store, mirror: str | None, done: Done) -> list[Failure]:
    """Run the cells to their end; returns those that failed.

    `work` must be importable by workers. Raises CellError where a cell needs more than any node has.
    """
    if not cells:
        return []
    check_feasible(cells)
    kind = cells[0].kind
    payloads = {cell.slug: Payload(cell, store, mirror, _left(store, cell)) for cell in cells}
    os.environ.update(TUNE_DISABLE_SIGINT_HANDLER="1", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_AIR_NEW_OUTPUT="0")
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are told by the caller, once

    def trial(config: dict[str, str], payloads: dict[str, Payload]) -> None:
        payload = payloads[config["cell"]]
        if payload.store.read_record(payload.cell.slug) is None:
            try:
                work(payload, Progress(payload))
            except (FewTuneError, OSError) as fault:
                if isinstance(fault, OSError) and not disk_full(fault):
                    raise
                tune.report({"share": 1.0, "failure": DISK_FULL if disk_full(fault) else str(fault)})
                return
        tune.report({"share": 1.0, "failure": ""})

    needs = {cell.slug: cell.needs for cell in cells}
    folders = {cell.slug: _folder(cell) for cell in cells}
    name = lambda trial: folders[trial.config["cell"]]  # noqa: E731 - Tune wants a callable of one trial
    follow = _Follow(done)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(trial, payloads=payloads), cast(Any, lambda config: _group(needs[config["cell"]]))
        ),
        param_space={"cell": tune.grid_search([cell.slug for cell in cells])},
        tune_config=tune.TuneConfig(
            # One process serves many small CPU trials (1 s instead of 4 s each); a GPU trial starts clean.
            reuse_actors=all(cell.needs.gpus == 0 for cell in cells),
            trial_name_creator=name,
            trial_dirname_creator=name,
        ),
        run_config=RunConfig(
            name=f"{kind}-{time.time_ns()}",
            storage_path=store.path("trials") if store.local else store.shown("trials"),
            callbacks=[follow],
            failure_config=FailureConfig(max_failures=_RETRIES),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            verbose=0,
        ),
    )
    tuner.fit()
    failures = [Failure(slug, reason) for slug, reason in follow.failures.items()]
    if not failures:  # the checkpoints have served
        store.delete_folders("trials", f"{kind}-")
    return failures


class _Follow(Callback):
    """Hears of results while Tune runs."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self.failures: dict[str, str] = {}

    def __getstate__(self) -> dict[str, object]:
        """Tune pickles its callbacks with the experiment; what listens stays in the driver."""
        return {"_done": _deaf, "failures": {}}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        slug = trial.config["cell"]
        if result.get("failure"):
            self.failures[slug] = result["failure"]
        self._done(slug, result.get("share", 0.0))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        slug = trial.config["cell"]
        told = Path(trial.error_file).read_text().strip() if trial.error_file else ""
        self.failures[slug] = told.splitlines()[-1] if told else "its worker died"
        self._done(slug, 1.0)


def _deaf(slug: str, share: float) -> None:
    pass


def _folder(cell: Cell) -> str:
    """One path segment for a cell; the fingerprint keeps a changed cell from another's checkpoints."""
    return f"{cell.slug.replace('/', '+')}+{cell.fingerprint}"


def _group(needs: Needs) -> PlacementGroupFactory:
    bundle: dict[str, float] = {"CPU": needs.cpus, "memory": needs.memory}
    if needs.gpus:
        bundle["GPU"] = needs.gpus
    return PlacementGroupFactory([bundle])


def check_feasible(cells: Sequence[Cell]) -> None:
    """Raise CellError where no living node could ever hold one of the cells: Ray would wait for it for ever."""
    nodes = [cast(dict[str, float], node["Resources"]) for node in ray.nodes() if node["Alive"]]
    for cell in {cell.needs: cell for cell in cells}.values():
        _feasible(cell, nodes)


def _feasible(cell: Cell, nodes: Sequence[dict[str, float]]) -> None:
    wanted: dict[str, float] = {"CPU": cell.needs.cpus, "GPU": cell.needs.gpus, "memory": cell.needs.memory}
    if any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        return
    most = {name: max(node.get(name, 0) for node in nodes) for name in wanted}
    raise CellError(
        f"{cell.slug} needs {_amounts(wanted)}; the largest node has {_amounts(most)}: "
        f"lower `resources` of {cell.base.slug}, or start a larger node"
    )


def _amounts(resources: dict[str, float]) -> str:
    return f"{resources['CPU']:g} CPUs, {resources['GPU']:g} GPUs and {resources['memory'] / 1e9:.1f} GB"


def _left(store: Store, cell: Cell) -> tuple[str, ...]:
    """Checkpoint folders of this very cell that earlier runs left in a local store, newest first."""
    if store.local is None:
        return ()
    found = (store.local / "trials").glob(f"*/{_folder(cell)}*/checkpoint_*")
    return tuple(str(path) for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True))


def _intact(folder: Path) -> Path | None:
    state, digest = folder / STATE, folder / "sha256"
    if not (state.is_file() and digest.is_file()):
        return None
    return state if hashlib.sha256(state.read_bytes()).hexdigest() == digest.read_text() else None
