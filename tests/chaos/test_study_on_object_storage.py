"""A study whose store is object storage, with faults on the way to it: its tables are those of a local one."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from object_store import WRITER, Proxy, server, uri
from small_study import finish, start, tables

from app.store import Store

_AWAY = 75.0  # seconds; one request is repeated for 51
pytestmark = [pytest.mark.timeout(900), pytest.mark.chaos]


def records(store: Store, kind: str) -> int:
    return len(store.records(kind))


def test_a_study_on_object_storage_survives_refusals_and_cut_uploads(
    small_study: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WRITER.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "seaweed").mkdir()
    with server(tmp_path / "seaweed") as port:
        proxy = Proxy(port)
        root = uri(proxy.port, "small/store")
        store = Store(uri(port, "small/store"))
        run = start(small_study, root)
        for kind in ("pretrain", "tune", "evaluate"):
            until = time.monotonic() + 300
            while not records(store, kind):
                assert run.poll() is None, run.communicate()[0]
                assert time.monotonic() < until
                time.sleep(0.2)
            proxy.cut("PUT", times=2)
            proxy.refuse(times=10)
        output = finish(run)
        assert run.returncode == 0, output
        assert "38 cells computed, 0 reused, 0 failed" in output
        out = tmp_path / "results"
        for words in (["status", root], ["gather", root, "--out", str(out)]):
            done = subprocess.run([sys.executable, "-m", "app.cli.main", *words], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            assert WRITER.secret not in done.stdout + done.stderr
        store.fetch("tables/responses", out / "tables" / "responses")
        proxy.close()
    assert tables(out) == tables(undisturbed)


def test_a_study_outlives_a_store_that_is_away_for_longer_than_its_requests_are_repeated(
    tiny_study: Path, tiny_undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WRITER.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "seaweed").mkdir()
    with server(tmp_path / "seaweed") as port:
        proxy = Proxy(port)
        store = Store(uri(port, "tiny/store"))
        run = start(tiny_study, uri(proxy.port, "tiny/store"))
        for kind in ("pretrain", "tune"):
            until = time.monotonic() + 300
            while not records(store, kind):
                assert run.poll() is None, run.communicate()[0]
                assert time.monotonic() < until
                time.sleep(0.2)
            proxy.refuse()
            time.sleep(_AWAY)
            proxy.clear()
        output, _ = run.communicate(timeout=600)  # Ray's own log tells some faults with their traceback
        assert run.returncode == 0, output
        assert "8 cells computed, 0 reused, 0 failed" in output
        store.fetch("tables", tmp_path / "found" / "tables")
        proxy.close()
    assert tables(tmp_path / "found") == tables(tiny_undisturbed)
