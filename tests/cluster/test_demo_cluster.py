"""The cluster on one machine: it grows for work and shrinks without, asks for its token, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from ray._raylet import GcsClient
from ray.job_submission import JobStatus, JobSubmissionClient

from app.errors import InputError
from app.launch.cluster import Demo, demo, ensure_token

pytestmark = pytest.mark.timeout(240)

# Two tasks that need a node each, what the job knows of the cluster, and a process that would outlive everything.
WORK = """
import json, os, subprocess, sys, time
import ray
from app import nodes
from app.plan import Needs

ray.init(log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=1, memory=2**30)
def where(seconds):
    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id()

types = nodes.living()
found = ray.get([where.remote(2), where.remote(2)])
orphan = subprocess.Popen(["sleep", "1000"], start_new_session=True)
while sum(node["Alive"] for node in ray.nodes()) > 1:
    time.sleep(0.2)
time.sleep(1)
told = {
    "nodes": found, "slots": nodes.slots(Needs(1, 0, 2**30), types), "drivers": nodes.slots(Needs(1, 0, 1, 2), types),
    "gpu": nodes.unfit(Needs(1, 1, 2**30), types), "orphan": orphan.pid,
    "upload": os.listdir(),
}
print("TOLD", json.dumps(told))
"""


def eventually(holds: Callable[[], Any], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.2)
    return False


def worker_nodes(cluster: Demo) -> int:
    """Living nodes beside the head."""
    return len(GcsClient(address=cluster.gcs_address).get_all_node_info(timeout=5, state_filter=0)) - 1


def processes(folder: Path) -> list[int]:
    """Those that name the cluster's folder."""
    found = (process.info for process in psutil.process_iter(["pid", "cmdline"]))
    return [info["pid"] for info in found if f"{folder}" in " ".join(info["cmdline"] or ())]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a job saw, and what was there before, during and after."""
    with demo(2, idle_minutes=0.05) as cluster:
        seen: dict[str, Any] = {"cluster": cluster, "before": worker_nodes(cluster)}
        bare = requests.get(f"{cluster.address}/api/jobs/", timeout=10)
        wrong = requests.get(f"{cluster.address}/api/jobs/", headers={"Authorization": "Bearer no"}, timeout=10)
        seen["bare"], seen["wrong"] = bare.status_code, wrong.status_code
        client = JobSubmissionClient(cluster.address)
        upload = tmp_path_factory.mktemp("upload")
        (upload / "work.py").write_text(WORK)
        job = client.submit_job(entrypoint="python work.py", runtime_env={"working_dir": str(upload)})
        assert eventually(lambda: client.get_job_status(job).is_terminal(), 120)
        seen["status"], logs = client.get_job_status(job), client.get_job_logs(job)
        seen |= json.loads(logs.partition("TOLD ")[2] or "{}")
        seen["empty"] = eventually(lambda: worker_nodes(cluster) == 0)
        seen["running"] = processes(cluster.folder)
    return seen


def test_nodes_come_with_work_and_go_without(told: dict[str, Any]) -> None:
    assert told["before"] == 0
    assert told["status"] == JobStatus.SUCCEEDED
    assert len(set(told["nodes"])) == 2
    assert told["empty"]


def test_a_job_keeps_its_upload_when_nodes_go(told: dict[str, Any]) -> None:
    assert told["upload"] == ["work.py"]


def test_the_job_server_answers_only_to_the_token(told: dict[str, Any]) -> None:
    assert told["bare"] == 401
    assert told["wrong"] == 403


def test_a_job_knows_what_the_autoscaler_may_start(told: dict[str, Any]) -> None:
    assert told["slots"] == 2
    assert told["drivers"] == 1
    assert told["gpu"] == "needs 1 GPU on one node; the largest has 0 GPUs"


def test_it_leaves_nothing_behind(told: dict[str, Any]) -> None:
    cluster = told["cluster"]
    assert len(told["running"]) > 5
    assert processes(cluster.folder) == []
    assert not cluster.folder.exists()
    if sys.platform == "linux":
        assert not psutil.pid_exists(told["orphan"])
    with pytest.raises(requests.ConnectionError):
        requests.get(cluster.address, timeout=2)


def test_the_environment_is_as_it_was(told: dict[str, Any]) -> None:
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ
    assert told["cluster"].gcs_address != os.environ.get("RAY_ADDRESS")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_command_says_what_to_do_next_and_takes_all_along_even_when_it_is_killed(tmp_path: Path) -> None:
    from app.launch.cluster import _free

    port = _free()
    command = [sys.executable, "-m", "app.cli.main", "cluster", "demo", "--workers", "1", "--port", str(port)]
    home = os.environ | {"HOME": str(tmp_path)}  # without a token
    home = {name: value for name, value in home.items() if not name.startswith("RAY_")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=home, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        shown = [process.stdout.readline() for _ in range(6)]
        below = psutil.Process(process.pid).children(recursive=True)
        try:
            address = f"http://127.0.0.1:{port}"
            assert f"fewtune submit jobs/studies/demo.yaml --address {address} --store stores/demo\n" in "".join(shown)
            token = tmp_path / ".ray" / "auth_token"
            assert oct(token.stat().st_mode & 0o777) == "0o600"
            assert token.read_text() not in "".join(shown)
            headers = {"Authorization": f"Bearer {token.read_text()}"}
            assert requests.get(f"{address}/api/jobs/", headers=headers, timeout=10).json() == []
            assert len(below) > 5
        finally:
            process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not any(child.is_running() for child in below), 30)


def test_a_port_that_is_taken_is_refused_at_once(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of this machine is taken"), demo(1, port=port):
            pass


def test_a_token_that_is_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("mine")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    assert ensure_token() == path
    assert path.read_text() == "mine"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "in-the-environment")
    assert ensure_token() is None
