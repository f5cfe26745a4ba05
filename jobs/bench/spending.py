"""What a command takes, with everything that it starts: seconds of CPU and on the clock.

A parent's sums leave out children whose end it ignores, as Ray's raylet does with all of its workers; and who looks at
processes now and then misses what they do between the last look and their end. So the kernel counts: a counter of CPU
time that every process below inherits, the short-lived and the orphaned too.
"""

import ctypes
import os
import platform
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_CALLS = {"x86_64": 298, "aarch64": 241}  # perf_event_open
_SOFTWARE, _TASK_CLOCK, _SIZE = 1, 1, 64
_INHERIT, _NO_KERNEL, _NO_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
"""The last two are what lets anybody ask; a clock of tasks counts time in the kernel all the same."""
_CLOSE_ON_EXEC = 8
_LOOK = 0.1


class Spent(NamedTuple):
    """What a command took."""

    cpu: float
    """Seconds of all processes below it, user and system."""
    wall: float
    others: float
    """Seconds that this machine's cores worked for others meanwhile."""
    exact: bool
    """Counted by the kernel; else looked at ten times a second, which misses what a process did after the last look."""
    course: tuple[tuple[float, float], ...]
    """Clock (of `time.time`) and CPU seconds so far, ten times a second."""
    told: str
    """The end of what the command wrote."""

    def at(self, clock: float) -> float:
        """CPU seconds spent until then."""
        return max((cpu for then, cpu in self.course if then <= clock), default=0.0)


def spend(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Spent:
    """Run a command in `folder` to its end, on one thread a process; `more` is added to its environment.

    Raises CalledProcessError, with the end of what it said, where it fails.
    """
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **(more or {}),
    }
    own, counter = time.thread_time(), _counter()
    busy, began, course = _busy(), time.monotonic(), list[tuple[float, float]]()
    with (folder / "told.txt").open("w+b") as told:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=told, stderr=told)  # noqa: S603
        look: Callable[[], float] = _Looks(process.pid) if counter is None else lambda: _read(counter, own)
        while process.poll() is None:
            course.append((time.time(), look()))
            time.sleep(_LOOK)
        wall, cpu = time.monotonic() - began, look()
        told.seek(0)
        text = told.read()[-3_000:].decode(errors="replace")
    if counter is not None:
        os.close(counter)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), text)
    return Spent(cpu, wall, max(0.0, _busy() - busy - cpu), counter is not None, tuple(course), text)


def how(*spent: Spent) -> str:
    """How CPU seconds were counted, as a sentence."""
    if all(one.exact for one in spent):
        return "CPU seconds are the kernel's count over the whole tree of processes, those of Ray included."
    return (
        "This kernel counts for nobody (perf_event_open is refused), so CPU seconds are what ten looks a second at the "
        "tree of processes found: too few by what each process did after the last one."
    )


def _counter() -> int | None:
    """A file that tells the nanoseconds of CPU of this thread and of all that it starts; None where refused."""
    call = _CALLS.get(platform.machine())
    if call is None or platform.system() != "Linux":
        return None
    flags = _INHERIT | _NO_KERNEL | _NO_HYPERVISOR
    asked = struct.pack("IIQQQQQ", _SOFTWARE, _SIZE, _TASK_CLOCK, 0, 0, 0, flags).ljust(_SIZE, b"\0")
    found = ctypes.CDLL(None).syscall(call, asked, 0, -1, -1, _CLOSE_ON_EXEC)
    return found if found >= 0 else None


def _read(counter: int, own: float) -> float:
    """Seconds; less this thread's, which had taken `own` when the counter began."""
    return struct.unpack("Q", os.read(counter, 8))[0] / 1e9 - (time.thread_time() - own)


class _Looks:
    """What each process below another was last seen to have taken."""

    def __init__(self, pid: int) -> None:
        self._root, self._seen = psutil.Process(pid), dict[tuple[int, float], float]()

    def __call__(self) -> float:
        try:
            tree = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            tree = []
        for one in tree:
            try:
                times = one.cpu_times()
                self._seen[one.pid, one.create_time()] = times.user + times.system
            except psutil.Error:
                continue  # it ended between the two questions; what it had taken before is kept
        return sum(self._seen.values())


def _busy() -> float:
    """Seconds that this machine's cores have worked, all told."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)
