"""Spot notices: read as each cloud gives them, acted on once, and heard by what runs on the node."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from ray._raylet import GcsClient
from ray.autoscaler.v2 import sdk
from ray.core.generated.autoscaler_pb2 import NodeStatus
from ray.job_submission import JobSubmissionClient

from app.launch import preemption
from app.launch.cluster import Demo, demo
from app.launch.preemption import Notice

pytestmark = pytest.mark.timeout(240)

# A task on each node that says, for as long as it may, when the node is to go.
WORK = """
import sys, time
from pathlib import Path
import ray
from app import nodes

ray.init(log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=1, max_retries=0)
def stay(folder):
    node, cheap = ray.get_runtime_context().get_node_id(), 0
    while not Path(folder, "end").exists():
        started = time.monotonic()
        left = nodes.draining()
        cheap = max(cheap, time.monotonic() - started)
        written = Path(folder, "new-" + node)
        written.write_text(repr(left))
        written.rename(Path(folder, "node-" + node))
        time.sleep(0.2)

ray.wait([stay.remote(sys.argv[1]) for _ in range(3)], num_returns=3)
"""


class Metadata(BaseHTTPRequestHandler):
    """The metadata endpoints of AWS and GCP, as strict as they are."""

    action: ClassVar[dict[str, str] | None] = None
    rebalance: ClassVar[bool] = False
    preempted: ClassVar[bool] = False
    broken: ClassVar[int] = 0
    """Answers that are still to fail."""
    asked: ClassVar[int] = 0

    def do_PUT(self) -> None:
        wanted = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer(200 if wanted else 400, "a-token")

    def do_GET(self) -> None:
        type(self).asked += 1
        if Metadata.broken > 0:
            Metadata.broken -= 1
            return self._answer(503, "")
        if self.path == "/computeMetadata/v1/instance/preempted":
            known = self.headers.get("Metadata-Flavor") == "Google"
            return self._answer(200 if known else 403, "TRUE" if Metadata.preempted else "FALSE")
        if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
            return self._answer(401, "")
        if self.path == "/latest/meta-data/spot/instance-action" and Metadata.action:
            return self._answer(200, json.dumps(Metadata.action))
        if self.path == "/latest/meta-data/events/recommendations/rebalance" and Metadata.rebalance:
            return self._answer(200, json.dumps({"noticeTime": "2020-10-27T08:22:00Z"}))
        return self._answer(404, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(port: int = 0) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", port), Metadata)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An endpoint that has nothing to tell yet."""
    Metadata.action, Metadata.rebalance, Metadata.preempted, Metadata.broken, Metadata.asked = None, False, False, 0, 0
    with serving() as url:
        yield url


def ends_in(seconds: float) -> dict[str, str]:
    """EC2's instance-action."""
    when = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"action": "terminate", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ")}


def eventually(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := holds():
            return found
        time.sleep(0.1)
    return None


def test_aws_says_when_an_instance_is_to_go(endpoint: str) -> None:
    web = requests.Session()
    assert preemption.aws(web, endpoint) is None
    Metadata.action = ends_in(90)
    notice = preemption.aws(web, endpoint)
    assert notice is not None
    assert notice.seconds is not None
    assert 60 < notice.seconds <= 91
    assert "terminate" in notice.reason


@pytest.mark.parametrize("wrong", [-3600, 3600, 86400 * 365])
def test_a_clock_that_is_wrong_still_gives_the_two_minutes_of_aws(endpoint: str, wrong: float) -> None:
    Metadata.action = ends_in(wrong)
    notice = preemption.aws(requests.Session(), endpoint)
    assert notice is not None
    assert notice.seconds == 120


def test_a_mere_recommendation_counts_only_where_it_is_asked_for(endpoint: str) -> None:
    Metadata.rebalance = True
    assert preemption.aws(requests.Session(), endpoint) is None
    assert preemption.aws(requests.Session(), endpoint, rebalance=True) == Notice(
        None, "AWS recommends to leave this instance"
    )


def test_gcp_says_that_it_preempts(endpoint: str) -> None:
    assert preemption.gcp(requests.Session(), endpoint) is None
    Metadata.preempted = True
    assert preemption.gcp(requests.Session(), endpoint) == Notice(30, "GCP preempts this instance")


def test_an_endpoint_that_fails_is_told_once_and_asked_again(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    Metadata.broken, Metadata.preempted = 4, True
    web = requests.Session()
    with caplog.at_level(logging.WARNING):
        notice = preemption._await(lambda: preemption.gcp(web, endpoint), 0.01)
    assert notice.reason == "GCP preempts this instance"
    assert Metadata.asked == 5
    assert ["does not answer" in line or "answers again" in line for line in caplog.messages] == [True, True]


def test_an_endpoint_that_is_not_there_yet_is_waited_for(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    from app.launch.cluster import _free

    port, web, heard = _free(), requests.Session(), list[Notice]()
    Metadata.preempted = True
    ask = threading.Thread(
        target=lambda: heard.append(preemption._await(lambda: preemption.gcp(web, f"http://127.0.0.1:{port}"), 0.01))
    )
    with caplog.at_level(logging.WARNING):
        ask.start()
        assert eventually(lambda: caplog.messages)
        with serving(port):
            ask.join(30)
    assert heard == [Notice(30, "GCP preempts this instance")]
    assert len(caplog.messages) == 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    """Three nodes, each with a task that says whether its node is to go."""
    told = tmp_path_factory.mktemp("told")
    with demo(3, idle_minutes=1) as running:
        script = running.folder / "work.py"
        script.write_text(WORK)
        client = JobSubmissionClient(running.address)
        job = client.submit_job(entrypoint=f"{sys.executable} {script} {told}")
        assert eventually(lambda: len(list(told.glob("node-*"))) == 3, 120), client.get_job_logs(job)
        yield running, told


def staying(told: Path) -> str:
    """A node that is not to go."""
    return next(path.name.removeprefix("node-") for path in told.glob("node-*") if path.read_text() == "None")


def status(running: Demo, node: str) -> str:
    state = sdk.get_cluster_resource_state(GcsClient(address=running.gcs_address))
    (found,) = [NodeStatus.Name(one.status) for one in state.node_states if one.node_id.hex() == node]
    return found


def test_the_watcher_asks_for_the_node_where_several_run_on_one_machine(
    cluster: tuple[Demo, Path], endpoint: str
) -> None:
    running, _ = cluster
    command = [sys.executable, "-m", "jobs.watch", "--aws", "--address", running.gcs_address, "--endpoint", endpoint]
    done = subprocess.run(
        command, env=os.environ | running.environment, cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "nodes of the cluster at" in done.stderr
    assert "name one with --node" in done.stderr
    assert "Traceback" not in done.stderr
    assert Metadata.asked == 0


@pytest.mark.parametrize(("cloud", "seconds"), [("aws", (30, 91)), ("gcp", (10, 30)), ("kubernetes", (1, 20))])
def test_the_watcher_drains_its_node_and_what_runs_there_hears_when_it_goes(
    cloud: str, seconds: tuple[float, float], cluster: tuple[Demo, Path], endpoint: str
) -> None:
    running, told = cluster
    node = staying(told)
    command = [
        *(sys.executable, "-m", "jobs.watch", f"--{cloud}", "--address", running.gcs_address, "--node", node),
        *("--endpoint", endpoint, "--every", "0.1", "--grace", "20"),
    ]
    watcher = subprocess.Popen(
        command, env=os.environ | running.environment, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True
    )
    try:
        if cloud != "kubernetes":
            assert eventually(lambda: Metadata.asked > 1)
            assert (told / f"node-{node}").read_text() == "None"
            assert status(running, node) == "RUNNING"
        Metadata.action, Metadata.preempted = ends_in(90), True
        left = eventually(lambda: (text := (told / f"node-{node}").read_text()) != "None" and float(text))
        assert left is not None
        assert seconds[0] < left <= seconds[1]
        assert eventually(lambda: status(running, node) == "DRAINING")
        if cloud == "kubernetes":  # holds the pod while its node is busy
            assert watcher.poll() is None
        else:  # and has nothing more to do
            assert watcher.wait(30) == 0
            assert watcher.stderr is not None
            assert watcher.stderr.read().count("is drained") == 1
    finally:
        watcher.kill()
        watcher.communicate()
    earlier = float((told / f"node-{node}").read_text())
    assert eventually(lambda: float((told / f"node-{node}").read_text()) < earlier)  # counted down
