"""The only `ray.init` of the project: a cluster of its own on this machine, or the one that RAY_ADDRESS names."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import ray

from app import nodes
from app.errors import FewTuneError

_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",  # workers are the parallelism
    "TRANSFORMERS_VERBOSITY": "error",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # Ray Data's own actors trip a warning of Ray core (ray #53727)
    "RAY_DEDUP_LOGS": "1",
    "RAY_TRAIN_V2_ENABLED": "1",
}
_DRIVERS = 8.0  # trials of several workers at once; each is a process that only waits
_OBJECT_STORE = 256 * 2**20  # bytes: only slugs and plans pass through it


@contextmanager
def session(cpus: int | None = None) -> Generator[None]:
    """A running Ray for the block. `cpus` limits a local cluster; a remote one has what it has.

    Raises FewTuneError where Ray does not start.
    """
    if ray.is_initialized():  # the caller's cluster stays the caller's
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    with _hushed(), _own_signals():
        _start(cpus)
    for noisy in ("ray.tune", "ray.train"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _start(cpus: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        else:
            ray.init(
                num_cpus=cpus,
                resources={nodes.DRIVER: _DRIVERS},
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    except Exception as fault:  # Ray's own are of many kinds, plain Exception among them
        where = f"RAY_ADDRESS ({address})" if address else "this machine"
        raise FewTuneError(
            f"Ray did not start at {where}: {str(fault).strip().splitlines()[0] if str(fault).strip() else fault!r} "
            f"Where the machine is merely busy, the same command works later."
        ) from fault


@contextmanager
def _own_signals() -> Generator[None]:
    """Keep the process's way to end: Ray's core installs a handler of SIGTERM that dumps its stack and aborts."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _hushed() -> Generator[None]:
    """Drop what Ray's core writes to stderr while it starts (that it obeys a log level); faults are raised."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
