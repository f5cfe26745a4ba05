"""A disk that is full or may not be written to ends a run in a sentence, and leaves what was there."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from object_store import uri

from app.errors import StoreError
from app.store import Store

pytestmark = pytest.mark.timeout(60)

DISK = textwrap.dedent("""\
    import os, sys, tempfile
    from app.errors import StoreError, disk_full, passing
    from app.store import Store

    def attempt(name, act):
        try:
            act()
            print(name, "done")
        except OSError as fault:
            print(name, ("disk full" if disk_full(fault) else repr(fault)) + (" for now" if passing(fault) else ""))
        except StoreError as fault:
            print(name, "refused:", fault)

    def fill(store):
        with store.new_folder("models/base") as folder:
            (folder / "weights").write_bytes(b"x" * 10**7)

    def save(store):
        import numpy
        from safetensors.numpy import save_file
        with store.new_folder("models/base") as folder:
            save_file({"weights": numpy.zeros(10**7)}, folder / "weights")

    def run(store):
        with store.exclusive():
            print("held")
""")


def on_a_small_disk(code: str, folder: Path, *arguments: str) -> str:
    """What the code prints, with a disk of 1 MB at `folder`; skips the test where no disk can be mounted."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=1m none '{folder}'"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    command = f'{mount} && exec "$@"'
    found = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", sys.executable, "-c", DISK + code, str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout


def test_a_full_disk_leaves_the_old_files_and_nothing_half_written(tmp_path: Path) -> None:
    code = textwrap.dedent("""\
        store = Store(sys.argv[1])
        attempt("small", lambda: store.write_text("a", "old"))
        attempt("large", lambda: store.write_text("a", "x" * 10**7))
        attempt("folder", lambda: fill(store))
        attempt("weights", lambda: save(store))
        print(store.read_text("a"), sorted(os.listdir(sys.argv[1])), store.exists("models/base"))
        attempt("small", lambda: store.write_text("a", "new"))
    """)
    assert on_a_small_disk(code, tmp_path / "disk").splitlines() == [
        "small done",
        "large disk full",
        "folder disk full",
        "weights disk full",
        "old ['a', 'models'] False",
        "small done",
    ]


def test_a_state_that_finds_no_room_says_so(tmp_path: Path) -> None:
    code = textwrap.dedent("""\
        from pathlib import Path
        import torch
        from app.models.states import write_state
        state = Path(sys.argv[1], "state")
        attempt("large", lambda: write_state(state, {"weights": torch.zeros(10**6)}))
        attempt("small", lambda: write_state(state, {"weights": torch.zeros(10)}))
        print(len(torch.load(state, weights_only=True)["weights"]))
    """)
    assert on_a_small_disk(code, tmp_path / "disk").splitlines() == ["large disk full for now", "small done", "10"]


def test_a_full_temporary_disk_uploads_nothing_half(tmp_path: Path, s3_port: int, prefix: str) -> None:
    code = textwrap.dedent("""\
        tempfile.tempdir = sys.argv[1]
        store = Store(sys.argv[2])
        attempt("large", lambda: store.write_text("a", "x" * 10**7))
        attempt("folder", lambda: fill(store))
        attempt("small", lambda: store.write_text("b", "new"))
        print(os.listdir(sys.argv[1]))
    """)
    root = uri(s3_port, prefix)
    told = on_a_small_disk(code, tmp_path / "disk", root)
    # The disk is a node's own: another node may have room.
    assert told.splitlines() == ["large disk full for now", "folder disk full for now", "small done", "[]"]
    assert not Store(root).exists("a")
    assert not Store(root).exists("models/base")


def test_a_disk_that_may_only_be_read_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    code = textwrap.dedent("""\
        import subprocess
        subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
        attempt("there", lambda: run(Store(sys.argv[1])))
        attempt("new", lambda: run(Store(sys.argv[1] + "/store")))
    """)
    told = on_a_small_disk(code, tmp_path / "disk").splitlines()
    assert len(told) == 2
    for line, name in zip(told, ("there", "new"), strict=True):
        assert line.startswith(f"{name} refused: {tmp_path / 'disk'}"), line
        assert line.endswith("cannot be written (Read-only file system): give another --store"), line


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_write_access_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for root in (tmp_path, tmp_path / "store"):
        with pytest.raises(StoreError, match=r"cannot be written .*: give another --store"):
            Store(root).exclusive().__enter__()
