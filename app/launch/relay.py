"""How a study stands, by way of a cluster that reaches its store where this machine does not.

A small job on the head looks at the store every few seconds, and keeps what it saw in a file of the head's log folder,
which the dashboard hands over.
"""

import json
import signal
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import TargetError
from app.launch import state
from app.launch.overview import Look, Overview, look
from app.store import Store

if TYPE_CHECKING:
    from app.launch.remote import Job, Target

_EVERY = 5.0  # seconds between two looks
_LIVES = 1800.0  # seconds after which the job ends by itself: its laptop may have been closed
_PATIENCE = 120.0  # seconds for its first look


class Relay:
    """Called, it gives what the cluster sees of a store; `close` ends the job that looks.

    `env` names variables of this process that the job gets. Raises TargetError.
    """

    def __init__(self, target: "Target", store: str, env: Sequence[str] = ()) -> None:
        self._target, self._store, self._env = target, store, env
        self._job: Job | None = None
        self._file, self._asked = "", 0.0

    def __call__(self, before: Look | None = None) -> Look | None:
        """What is seen now; None where nothing is in the store yet."""
        if self._job is None or time.monotonic() - self._asked > _LIVES / 2:
            self.close()
            self._asked = time.monotonic()
            self._job, answer = self._target.ask("jobs.relay", self._store, env=self._env, patience=_PATIENCE)
            self._file = answer["file"]
        return _unpacked(self._target.fetch(self._job.node, self._file))

    def close(self) -> None:
        """End the job."""
        if self._job:
            with suppress(TargetError):
                self._target.stop(self._job.id)
            self._job = None


def keep(store: Store, logs: Path, tell: Callable[[object], None]) -> None:
    """The cluster's side: look until stopped, into a file below `logs` that is told once it is there."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    file = logs / f"fewtune-look-{uuid.uuid4().hex[:8]}"
    arriving = file.with_suffix(".tmp")
    seen, began = None, time.monotonic()
    try:
        while time.monotonic() - began < _LIVES:
            first, seen = seen is None and not file.exists(), look(store, seen)
            arriving.write_bytes(_packed(seen))
            arriving.replace(file)
            if first:
                tell({"file": file.name})
            time.sleep(_EVERY)
    except KeyboardInterrupt:
        pass
    finally:
        file.unlink(missing_ok=True)
        arriving.unlink(missing_ok=True)


def _packed(seen: Look | None) -> bytes:
    """Without scores, of which the estimate is made."""
    if seen is None:
        return zlib.compress(b"null")
    there = seen.overview
    content = {
        "store": there.store,
        "plan": json.dumps(there.outline._asdict()),
        "run": json.dumps(asdict(there.state)) if there.state else "",
        "done": dict(there.done),
        "estimate": seen.estimate,
    }
    return zlib.compress(json.dumps(content).encode())


def _unpacked(content: bytes) -> Look | None:
    try:
        given = json.loads(zlib.decompress(content))
        if given is None:
            return None
        outline = state.parse_outline(given["plan"])
        if outline is None:
            raise ValueError("no plan")
        there = Overview(outline.study, given["store"], outline, state.parse(given["run"]), given["done"], {})
        return Look(there, given["estimate"])
    except (zlib.error, ValueError, KeyError, TypeError) as fault:
        raise TargetError("what the cluster saw of the store arrived damaged: ask again") from fault
