"""On object storage a run shows that it lives; a second one looks for a sign, then refuses or takes over."""

import errno
import fcntl
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_store import Proxy, uri

from app.errors import StoreError
from app.store import Record, Store

pytestmark = pytest.mark.timeout(120)
BEAT = 0.2  # seconds
RECORD = Record("tune", "tune/run", {}, {})
Process = subprocess.Popen[str]
Start = Callable[..., Process]

RUN = textwrap.dedent("""\
    import itertools, sys, time
    from app.errors import StoreError
    from app.store import Record, Store

    if "jumping" in sys.argv:
        jumps = itertools.cycle([0.0, 86_400.0, -1e9, 3.15e7, -3_600.0])
        time.time = lambda now=time.time: now() + next(jumps)
    try:
        store = Store(sys.argv[1], beat=float(sys.argv[2]))
        with store.exclusive():
            print("held", flush=True)
            for line in sys.stdin:
                store.write_record(Record("tune", line.strip(), {}, {}))
                print("wrote", flush=True)
    except StoreError as fault:
        print(fault, flush=True)
""")


@pytest.fixture
def root(s3_port: int, prefix: str) -> str:
    return uri(s3_port, prefix)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts runs in processes of their own: each holds the store and writes a record for each line that it gets."""
    started: list[Process] = []

    def begin(root: str, *options: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, root, str(BEAT), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def heard(process: Process) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def write(process: Process, slug: str) -> str:
    """Have a run write a record; what it says to that."""
    assert process.stdin
    process.stdin.write(f"{slug}\n")
    process.stdin.flush()
    return heard(process)


@pytest.mark.parametrize("options", [(), ("jumping",)])
def test_a_second_run_is_refused_while_the_first_shows_life(root: str, start: Start, options: tuple[str, ...]) -> None:
    first = start(root, *options)
    assert heard(first) == "held"
    with pytest.raises(StoreError, match=r"another run is using s3://.* \(.*process \d+.*\): wait for it"):
        Store(root, beat=BEAT).exclusive().__enter__()
    assert "another run is using" in heard(start(root, *options))
    assert write(first, "tune/a") == "wrote"


@pytest.mark.parametrize("options", [(), ("jumping",)])
def test_a_killed_run_is_found_dead_and_its_store_taken_over(root: str, start: Start, options: tuple[str, ...]) -> None:
    first = start(root, *options)
    assert heard(first) == "held"
    first.kill()
    first.wait()
    store = Store(root, beat=BEAT)
    assert store.read_text("lease.json")
    with store.exclusive():
        store.write_record(RECORD)
    assert store.read_text("lease.json") is None
    assert store.records() == {RECORD.slug: RECORD}


def test_a_run_that_slept_too_long_writes_nothing_more(root: str, start: Start) -> None:
    first = start(root)
    assert heard(first) == "held"
    assert write(first, "tune/a") == "wrote"
    first.send_signal(signal.SIGSTOP)
    second = start(root)
    assert heard(second) == "held"
    first.send_signal(signal.SIGCONT)
    assert "no longer holds" in write(first, "tune/b")
    assert write(second, "tune/c") == "wrote"
    assert list(Store(root).records()) == ["tune/a", "tune/c"]


def test_a_worker_of_a_run_that_lost_its_store_writes_nothing_more(root: str) -> None:
    store = Store(root, beat=BEAT)
    with store.exclusive():
        worker = pickle.loads(pickle.dumps(store))  # noqa: S301
        worker.write_text("a", "while held")
        Store(root).write_text("lease.json", '{"holder": "another", "beat": 7}')
        for act in (
            lambda: worker.write_record(RECORD),
            lambda: worker.write_text("a", "late"),
            lambda: fill(worker),
            lambda: store.write_record(RECORD),
        ):
            with pytest.raises(StoreError, match="no longer holds"):
                act()
    assert Store(root).read_text("a") == "while held"
    assert Store(root).records() == {}
    assert not Store(root).exists("models/base")
    assert '"another"' in str(Store(root).read_text("lease.json"))


def fill(store: Store) -> None:
    with store.new_folder("models/base") as folder:
        (folder / "weights").write_bytes(b"late")


def test_of_runs_that_begin_together_one_writes(root: str, start: Start) -> None:
    runs = [start(root) for _ in range(3)]
    held = [run for run in runs if heard(run) == "held"]
    said = [write(run, f"tune/{number}") for number, run in enumerate(held)]
    assert said.count("wrote") == 1, said
    assert len(Store(root).records()) == 1


def test_a_run_outlives_a_silence_of_the_storage(proxy: Proxy, impatient: Store) -> None:
    with impatient.exclusive():
        proxy.refuse(times=20)
        until = time.monotonic() + 30
        while proxy.disturbed < 20 and time.monotonic() < until:
            time.sleep(BEAT)
        impatient.write_record(RECORD)
    assert proxy.disturbed == 20
    assert impatient.records() == {RECORD.slug: RECORD}
    assert impatient.read_text("lease.json") is None


def test_where_the_file_system_has_no_locks_the_lease_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lockless(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", lockless)
    store = Store(tmp_path / "store", beat=BEAT)
    with store.exclusive():
        assert store.read_text("lease.json")
        with pytest.raises(StoreError, match="another run is using"):
            Store(tmp_path / "store", beat=BEAT).exclusive().__enter__()
        store.write_record(RECORD)
    assert store.read_text("lease.json") is None
