"""A study on clusters that come and go: nodes, drivers and heads die, and the store ends as if nothing had happened.

Through the command line alone, as a researcher would: submit, look, submit again, gather.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ray.job_submission import JobStatus, JobSubmissionClient
from small_study import count, tables

from app import stages
from app.launch.cluster import Demo, demo
from app.store import Store
from app.study import load
from app.trials import Payload, Progress
from app.tuning.trial import tune

pytestmark = pytest.mark.timeout(900)
_PATIENCE = 300.0  # seconds


@pytest.fixture
def cluster() -> Iterator[Demo]:
    with demo(2, idle_minutes=0.3) as running:
        yield running


def fewtune(*words: object, fails: bool = False) -> str:
    command = [sys.executable, "-m", "app.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    assert "Traceback" not in done.stdout + done.stderr
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait(reached: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _PATIENCE
    while not reached():
        assert time.monotonic() < until, f"never saw {what}"
        time.sleep(0.1)


def processes(*words: str) -> list[psutil.Process]:
    """Processes of this machine whose command line holds all of these words."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if all(word in line for word in words):
            found.append(process)
    return found


def raylets(cluster: Demo, *, head: bool) -> list[psutil.Process]:
    """The raylets of its workers, or of its head."""
    heads = {one.pid for one in processes("raylet/raylet", cluster.gcs_address, "--head")}
    return [one for one in processes("raylet/raylet", cluster.gcs_address) if (one.pid in heads) == head]


def ended(store: Path) -> bool:
    state = json.loads(fewtune("status", store, "--json"))
    return state["phase"] in ("done", "failed", "stopped")


@pytest.mark.parametrize(("size", "cells"), [("tiny", 8), pytest.param("small", 38, marks=pytest.mark.chaos)])
def test_a_node_and_a_driver_die_and_the_study_is_submitted_again(
    cluster: Demo, size: str, cells: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    study = request.getfixturevalue(f"{size}_study")
    undisturbed = request.getfixturevalue("tiny_undisturbed" if size == "tiny" else "undisturbed")
    store, out = tmp_path / "store", tmp_path / "results"
    submitted = ("submit", study, "--address", cluster.address, "--store", store)
    assert f"submitted fewtune-{size}-" in fewtune(*submitted)
    assert "computes this already: nothing was submitted" in fewtune(*submitted)
    wait(lambda: count(store, "pretrain") >= 1, "a base model")
    for raylet in raylets(cluster, head=False)[:1]:
        raylet.send_signal(signal.SIGKILL)  # a spot node goes without grace
    assert f"another run is using {store}" in second_job(cluster, study, store)
    wait(lambda: count(store, "tune") >= 1, "a tuning")
    (driver,) = [one for one in processes(str(store)) if one.cmdline()[1:3] == ["-m", "jobs.study"]]
    driver.send_signal(signal.SIGKILL)
    driver.wait(30)
    second = fewtune(*submitted, "--follow")
    counts = re.search(r"(\d+) cells computed, (\d+) reused, 0 failed", second)
    assert counts, second
    computed, reused = map(int, counts.groups())
    assert computed + reused == cells
    assert reused >= 2  # a base model and a tuning at least
    assert tables(store) == tables(undisturbed)
    assert f"of {cells} of {cells} cells" in fewtune("gather", store, "--out", out)
    assert (out / "tables" / "scores.parquet").read_bytes() == (store / "tables" / "scores.parquet").read_bytes()
    assert (out / "report" / "index.html").exists()
    wait(lambda: not raylets(cluster, head=False), "the cluster without nodes")


def second_job(cluster: Demo, study: Path, store: Path) -> str:
    """The log of a job that was submitted past the command line, for the same store."""
    client = JobSubmissionClient(cluster.address)
    job = client.submit_job(entrypoint=f"{sys.executable} -m jobs.study {study} --store {store}")
    wait(lambda: client.get_job_status(job).is_terminal(), "the end of the second job")
    assert client.get_job_status(job) == JobStatus.FAILED
    return client.get_job_logs(job)


@pytest.mark.chaos
def test_a_head_dies_and_another_cluster_goes_on_with_the_store(
    small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with demo(2, idle_minutes=0.3) as cluster:
        fewtune("submit", small_study, "--address", cluster.address, "--store", store)
        wait(lambda: count(store, "evaluate") >= 1, "an evaluation")
        for server in processes("gcs_server", cluster.gcs_address.rsplit(":", 1)[1]):
            server.send_signal(signal.SIGKILL)
        for raylet in raylets(cluster, head=True):
            raylet.send_signal(signal.SIGKILL)
        fewtune("status", store)  # the store tells, without a cluster
    wait(lambda: not processes("jobs.study", str(store)), "the end of the old driver")
    with demo(2, idle_minutes=0.3) as cluster:
        fewtune("submit", small_study, "--address", cluster.address, "--store", store, "--follow")
    assert tables(store) == tables(undisturbed)


@pytest.mark.chaos
def test_a_node_is_drained_with_a_deadline_and_its_work_moves(
    cluster: Demo, small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    fewtune("submit", small_study, "--address", cluster.address, "--store", store)
    wait(lambda: count(store, "pretrain") >= 1, "a base model")
    environment = {**os.environ, **cluster.environment}
    listing = [sys.executable, "-c", _WORKERS]
    nodes = subprocess.run(listing, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert nodes
    drain(cluster, nodes[0])
    wait(lambda: ended(store), "the end of the study")
    assert json.loads(fewtune("status", store, "--json"))["phase"] == "done"
    assert tables(store) == tables(undisturbed)


@pytest.mark.chaos
def test_a_tuning_on_a_drained_node_saves_and_goes_on_elsewhere_at_its_step(
    cluster: Demo, base_folder: Path, tmp_path: Path
) -> None:
    study, log = tmp_path / "long.yaml", tmp_path / "log"
    study.write_text(_LONG.format(base=base_folder))
    undisturbed, store = Store(tmp_path / "undisturbed"), Store(tmp_path / "store")
    (cell,) = stages.plan(load(study)).tunings
    tune(Payload(cell, undisturbed, None), Progress(Payload(cell, undisturbed, None), save_every=1e9, tell_every=1e9))
    script = tmp_path / "tune.py"
    script.write_text(_TUNE)
    client = JobSubmissionClient(cluster.address)
    job = client.submit_job(entrypoint=f"{sys.executable} {script} {study} {store.root} {log}")
    wait(lambda: log.exists() or client.get_job_status(job).is_terminal(), "a tuning")
    assert log.exists(), client.get_job_logs(job)
    (began,) = log.read_text().splitlines()
    time.sleep(3)  # some steps
    drain(cluster, began.split()[0])
    wait(lambda: client.get_job_status(job).is_terminal(), "the end of the tuning")
    assert client.get_job_status(job) == JobStatus.SUCCEEDED, client.get_job_logs(job)
    (first, at), (second, resumed) = [line.split() for line in log.read_text().splitlines()]
    assert first != second
    assert int(at) == 0 < int(resumed)
    moved, stayed = store.records()[cell.slug], undisturbed.records()[cell.slug]
    assert moved.result == stayed.result
    weights = f"checkpoints/{cell.run.slug}/adapter_model.safetensors"
    assert moved.artefacts[weights] == stayed.artefacts[weights]


def drain(cluster: Demo, node: str) -> None:
    """As a cloud's notice has it."""
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.gcs_address),
        *("--node-id", node, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"),
        *("--deadline-remaining-seconds", "60"),
    ]
    environment = {**os.environ, **cluster.environment}
    subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


_LONG = """
schema_version: 1
name: long
bases:
  - {{source: checkpoint, family: llama, path: {base}, name: tiny}}
recipes:
  - {{method: lora, examples: 12000}}
tasks: [last]
"""

# The tunings of a study; they say on which node and at which step they begin.
_TUNE = """
import sys
from pathlib import Path
import ray, torch
from app import stages, trials
from app.launch.session import session
from app.plan import Schedule
from app.store import Store
from app.study import load
from app.tuning import trial

log = Path(sys.argv[3])

def tune(payload, progress):
    state = progress.state()
    step = len(torch.load(state, weights_only=True)["losses"]) if state else 0
    with log.open("a") as file:
        file.write(f"{ray.get_runtime_context().get_node_id()} {step}\\n")
    trial.tune(payload, progress)

schedule = Schedule(stages.plan(load(Path(sys.argv[1]))).tunings)
with session():
    trials.run(schedule, {"tune": tune}, Store(sys.argv[2]), None, lambda *_: None)
assert not schedule.failed, schedule.failed
"""

_WORKERS = """
import ray
ray.init(logging_level="ERROR", log_to_driver=False)
for node in ray.nodes():
    if node["Alive"] and node["Resources"].get("CPU"):
        print(node["NodeID"])
"""
