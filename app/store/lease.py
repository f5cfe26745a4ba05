"""One run at a time where there are no locks: a small file that its holder rewrites as a sign of life.

It names the holder and counts beats. A newcomer watches on its own monotonic clock whether the count moves; no clock of
two machines is ever compared. A holder that was silent for too long (a pause, a partition) finds another's name, and
every process that works for it looks before it puts something in the store.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple, cast

from app.errors import StoreError

_PATIENCE = 9  # beats without a sign after which a holder counts as dead
_SETTLE = 0.25  # beats between a claim and the look whether another claimed at the same time

_log = logging.getLogger(__name__)


class File(NamedTuple):
    """How the lease's file is read, written and removed."""

    read: Callable[[], str | None]
    write: Callable[[str], None]
    remove: Callable[[], None]


class Lease:
    """The right to write to one store; `beat` is the time between two signs of life, in seconds."""

    def __init__(self, file: File, root: str, beat: float, holder: str = "") -> None:
        self.holder = holder or f"{socket.gethostname()}, process {os.getpid()}, {uuid.uuid4().hex[:12]}"
        self._file, self._root, self._beat = file, root, beat
        self._over = threading.Event()

    @contextmanager
    def hold(self) -> Generator[None]:
        """Have the lease for the block. Raises StoreError where another run has it."""
        self._watch()
        self._claim(0)
        time.sleep(_SETTLE * self._beat)
        if self._named() != self.holder:
            raise StoreError(self._used())
        beating = threading.Thread(target=self._beats, daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._over.set()
            beating.join()
            with suppress(StoreError, OSError):  # then it is found silent
                if self._named() == self.holder:
                    self._file.remove()

    def check(self) -> None:
        """Raise StoreError where another run took the lease over."""
        if self._named() != self.holder:
            raise StoreError(
                f"this run no longer holds {self._root}: it gave no sign of life for long, and another run took over; "
                "it writes nothing more, so run the same command again once the other is done"
            )

    def _watch(self) -> None:
        """Return once nobody holds the lease, or its holder is dead. Raises StoreError where it shows life."""
        seen = self._file.read()
        patience, since = _PATIENCE * self._beat, time.monotonic()
        if seen is not None:
            _log.warning("%s: waiting %.0f seconds for a sign of life", self._used(), patience)
        while seen is not None and time.monotonic() - since < patience:
            time.sleep(self._beat / 4)
            now = self._file.read()
            if now is None:
                return
            if now != seen:
                raise StoreError(self._used())

    def _beats(self) -> None:
        """Show life until the block is over or the lease is another's; a fault of storage is waited out."""
        count = 0
        while not self._over.wait(self._beat):
            try:
                if self._named() != self.holder:
                    return
                count += 1
                self._claim(count)
            except (StoreError, OSError) as fault:
                _log.warning("no sign of life could be given: %s", fault)

    def _claim(self, count: int) -> None:
        self._file.write(json.dumps({"holder": self.holder, "beat": count}))

    def _named(self) -> str | None:
        """The holder that the file names, if any."""
        try:
            return str(cast(dict[str, object], json.loads(self._file.read() or "")).get("holder"))
        except (json.JSONDecodeError, AttributeError):
            return None

    def _used(self) -> str:
        holder = self._named() or "it just ended"
        return f"another run is using {self._root} ({holder}): wait for it, or give another --store"
