"""A process that starts a command and, when it is told to or its own parent is gone, ends all that came of it.

Ray's processes start others that outlive them, and a terminal that closes ends only the first. On Linux what is
orphaned below the keeper becomes its child, so the tree below it is always whole. Run as
`python -m app.launch.keeper FOLDER COMMAND ...`; it lives as long as its standard input stays open, and takes the
folder along.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

import psutil

_ADOPT = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_TICK = 0.2  # seconds
_PATIENCE = 5.0  # seconds from the request to end until the kill


def main(folder: str, command: list[str]) -> None:
    """Keep the command until it ends, standard input closes, or a signal comes; then end everything below."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _: asked.append(got))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0)
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - what our own process gives
    while started.pid not in _ended() and not asked and not _closed(_TICK):
        pass
    _end()
    shutil.rmtree(folder, ignore_errors=True)


def _closed(seconds: float) -> bool:
    """Whether standard input closes within so many seconds."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1024)


def _ended() -> list[int]:
    """Children, adopted ones included, that have ended since the last call."""
    found: list[int] = []
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            found.append(pid)
    return found


def _end() -> None:
    started, told = time.monotonic(), set[int]()
    while below := psutil.Process().children(recursive=True):
        late = time.monotonic() - started > _PATIENCE
        for process in below:
            if late or process.pid not in told:
                told.add(process.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL if late else signal.SIGTERM)
        _ended()
        time.sleep(_TICK)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
