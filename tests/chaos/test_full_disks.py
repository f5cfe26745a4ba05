"""The own disk of the workers is full for a while: what found no room is tried again, and the tables are the same."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from object_store import WRITER, server, uri
from small_study import finish, start, tables

from app.errors import DISK_FULL
from app.store import Store

pytestmark = [pytest.mark.timeout(900), pytest.mark.chaos]
_PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB; skips the test where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, room: int = _PAGE) -> Path:
    """Leave so many bytes of room; what takes the rest."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * (1 << 20)):
                pass
        except OSError:
            pass
        file.truncate(file.tell() // _PAGE * _PAGE - room)
    return ballast


def wait(reached: Callable[[], bool], what: str, run: Popen[str]) -> None:
    until = time.monotonic() + 300
    while not reached():
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < until, f"never saw {what}"
        time.sleep(0.002)


def test_a_study_whose_workers_have_a_full_disk_for_a_while_ends_with_the_same_tables(
    disk: Path, tiny_study: Path, tiny_undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WRITER.environment.items():
        monkeypatch.setenv(name, value)
    # What `ray job submit --runtime-env-json` passes on: the driver's own disk has room.
    own = json.dumps({"runtime_env": {"env_vars": {"TMPDIR": str(disk)}}})
    (tmp_path / "seaweed").mkdir()
    with server(tmp_path / "seaweed") as port:
        store = Store(uri(port, "tiny/store"))
        ballast = fill(disk)
        run = start(tiny_study, store.root, {"RAY_JOB_CONFIG_JSON_ENV_VAR": own})
        wait(lambda: any(disk.glob("fewtune-*")), "a trial that begins", run)
        wait(lambda: not any(disk.glob("fewtune-*")), "a trial that finds no room", run)
        assert not store.records()
        ballast.unlink()
        wait(lambda: bool(store.records("tune")), "a tuning", run)
        ballast, before = fill(disk), len(store.records("evaluate"))
        changed = disk.stat().st_mtime_ns
        wait(lambda: disk.stat().st_mtime_ns != changed, "an evaluation that begins", run)
        time.sleep(3)
        assert len(store.records("evaluate")) <= before + 1  # one may have been about to send its record
        ballast.unlink()
        output = finish(run)
        assert run.returncode == 0, output
        assert "8 cells computed, 0 reused, 0 failed" in output
        store.fetch("tables", tmp_path / "tables")
    assert tables(tmp_path) == tables(tiny_undisturbed)


def test_a_full_disk_of_the_store_ends_the_run_in_a_sentence_and_the_next_one_completes_it(
    disk: Path, tiny_study: Path, tiny_undisturbed: Path
) -> None:
    ballast, store = fill(disk, room=25 * _PAGE), disk / "store"
    run = start(tiny_study, store)
    output = finish(run)
    assert run.returncode == 1
    assert DISK_FULL in " ".join(output.split())
    ballast.unlink()
    run = start(tiny_study, store)
    output = finish(run)
    assert run.returncode == 0, output
    assert tables(store) == tables(tiny_undisturbed)
