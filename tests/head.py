"""A Ray head with dashboard and job server on loopback, with a token; ended by its process id."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

TOKEN = "a-token-of-the-tests-0123456789"  # noqa: S105 - of a head that lives as long as the tests
_PATIENCE = 120.0  # seconds for a head to come up on a busy machine


class Head(NamedTuple):
    """A running head."""

    url: str
    environment: dict[str, str]
    """That of a user who has the token."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def head() -> Iterator[Head]:
    """Started once: it takes ten seconds and more."""
    folder = tempfile.mkdtemp(prefix="ft", dir="/tmp")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("RAY_", "FEWTUNE_"))}
    owner = clean | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    url = f"http://127.0.0.1:{(dashboard := free_port())}"
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2",
        f"--port={free_port()}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--temp-dir={folder}",
        f"--ray-client-server-port={free_port()}", "--object-store-memory=100000000", "--disable-usage-stats",
        "--dashboard-agent-listen-port=0", "--metrics-export-port=0", "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    with Path(folder, "start.log").open("w") as log:
        started = subprocess.Popen(command, env=owner, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(url, started)
        yield Head(url, clean | {"RAY_AUTH_TOKEN": TOKEN, "XDG_CONFIG_HOME": folder, "HOME": folder})
    finally:
        started.send_signal(signal.SIGTERM)  # it ends its own processes
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def user(head: Head, monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    """The head, with its token in this process."""
    from ray import _raylet

    for name in [name for name in os.environ if name.startswith(("RAY_", "FEWTUNE_"))]:
        monkeypatch.delenv(name)
    for name in ("RAY_AUTH_TOKEN", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, head.environment[name])
    _raylet.AuthenticationTokenLoader.instance().reset_cache()
    yield head
    _raylet.AuthenticationTokenLoader.instance().reset_cache()


def _await(url: str, started: "subprocess.Popen[bytes]") -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        assert started.poll() is None, "the head has ended"
        try:
            nodes = requests.get(f"{url}/nodes?view=summary", headers=headers, timeout=5)
            if nodes.ok and nodes.json()["data"]["summary"]:
                return
        except (requests.RequestException, ValueError, KeyError):
            pass
        time.sleep(0.3)
    raise AssertionError("the head does not come up")
