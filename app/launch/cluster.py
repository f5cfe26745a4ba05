"""A cluster on this machine that grows and shrinks: real head, dashboard, job server and autoscaler; nodes are raylets.

Everything listens on loopback and asks for Ray's token. Ray's own `AutoscalingCluster` needs a file that its wheel
lacks, and stops every Ray of the machine when it ends; this one ends what it started and nothing else.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import psutil
import requests

from app import nodes
from app.errors import FewTuneError, InputError

_HOST = "127.0.0.1"
_HEAD, _WORKER, _GPU = "ray.head.default", "cpu", "gpu"  # node types; Ray's provider of fake nodes knows the first
_DRIVERS = 8
_STORE = 100 * 2**20  # bytes of a node's object store: only slugs and plans pass through it
_STARTS = 90.0  # seconds
_HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"  # that of Ray's provider of fake nodes


_JOINING = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the one switch that leaves a loopback address as it is
}


class Demo(NamedTuple):
    """A running cluster."""

    address: str
    """URL of dashboard and job server."""
    gcs_address: str
    """For RAY_ADDRESS."""
    token_path: Path | None
    """File of the token; None where the environment holds it."""
    environment: Mapping[str, str]
    """What a process needs to join the cluster: its address, and that it asks for a token."""
    folder: Path
    """Logs of the session, while it runs."""


@contextmanager
def demo(
    workers: int | None = None, *, gpus: bool = False, idle_minutes: float = 1.0, port: int | None = None
) -> Generator[Demo]:
    """A cluster of no workers, and of up to `workers` nodes of one CPU while there is work.

    `workers`: left out, one for each core. `gpus`: also up to as many nodes that claim a GPU which is not there, to see
    scaling. `idle_minutes`: until a node without work goes. `port`: of the dashboard; left out, any that is free.

    Raises InputError where the port is taken, FewTuneError where Ray does not start.
    """
    token_path = ensure_token()
    most = workers or os.cpu_count() or 1
    dashboard, gcs = port or _free(), _free()
    if port and not _is_free(port):
        raise InputError(f"port {port} of this machine is taken: give another --port")
    folder = Path(tempfile.mkdtemp(prefix="ftn", dir="/tmp"))
    config = _config(f"{_HOST}:{gcs}", most, gpus, idle_minutes)
    (folder / "cluster.json").write_text(json.dumps(config))
    keeper = _start(folder, gcs, dashboard)
    address = f"http://{_HOST}:{dashboard}"
    try:
        _await(keeper, lambda: _answers(address), folder)
        with _admitted():
            _await(keeper, lambda: bool(nodes.alive(nodes.gcs(f"{_HOST}:{gcs}"))), folder)
            types = [node for node in nodes.read(folder / "cluster.json") if node.name != _HEAD]
            nodes.announce(types, f"{_HOST}:{gcs}")
            joining = {"RAY_ADDRESS": f"{_HOST}:{gcs}", **_JOINING}
            yield Demo(address, f"{_HOST}:{gcs}", token_path, joining, folder)
    finally:
        keeper.terminate()
        keeper.wait()


def ensure_token() -> Path | None:
    """The file of Ray's token, made where there is none; None where the environment holds the token itself."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path


def _config(gcs: str, most: int, gpus: bool, idle_minutes: float) -> dict[str, object]:
    """What the autoscaler reads: the provider of fake nodes, which starts raylets of this machine."""
    memory = max(2**30, int(psutil.virtual_memory().total * 0.6 / most))
    worker = {"CPU": 1, "memory": memory, "object_store_memory": _STORE}
    none: dict[str, Any] = {"node_config": {}, "min_workers": 0}
    types: dict[str, object] = {
        _HEAD: none | {"resources": {"CPU": 0, nodes.DRIVER: _DRIVERS}, "max_workers": 0},
        _WORKER: none | {"resources": worker, "max_workers": most},
    }
    if gpus:
        types[_GPU] = none | {"resources": worker | {"GPU": 1}, "max_workers": most}
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "fewtune-demo",
        "max_workers": most * (1 + gpus),
        "upscaling_speed": 100.0,
        "idle_timeout_minutes": idle_minutes,
        "provider": {
            "type": "external",
            "module": "app.launch.local_nodes.LocalNodes",
            "gcs_address": gcs,
            "head_node_id": _HEAD_ID,
            "launch_multiple": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": types,
        "head_node_type": _HEAD,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{name}_commands": [] for name in commands},
    }


def _start(folder: Path, gcs: int, dashboard: int) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {
        **_JOINING,
        # Jobs that ask for `python` get the one that this project is installed in.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    command = [
        *(sys.executable, "-m", "app.launch.keeper", str(folder)),
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        f"--autoscaling-config={folder / 'cluster.json'}",
        f"--temp-dir={folder}",
        f"--node-ip-address={_HOST}",
        f"--port={gcs}",
        "--include-dashboard=true",
        f"--dashboard-host={_HOST}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={_free()}",
        f"--ray-client-server-port={_free()}",
        *("--min-worker-port=0", "--max-worker-port=0"),
        *("--num-cpus=0", "--num-gpus=0", f"--resources={json.dumps({nodes.DRIVER: _DRIVERS})}"),
        f"--object-store-memory={_STORE}",
    ]
    with (folder / "start.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to answer
        )


def _await(keeper: "subprocess.Popen[bytes]", ready: Callable[[], bool], folder: Path) -> None:
    """Raises FewTuneError where the cluster ends, or is not ready in time."""
    until = time.monotonic() + _STARTS
    while time.monotonic() < until and keeper.poll() is None:
        if ready():
            return
        time.sleep(0.2)
    told = (folder / "start.log").read_text(errors="replace").split("\n") if folder.exists() else []
    said = next((line for line in reversed(told) if line.strip()), "nothing")
    raise FewTuneError(f"Ray did not start on this machine; the last that it said: {said.strip()}")


def _answers(address: str) -> bool:
    """Whether the job server does."""
    try:
        return requests.get(f"{address}/api/version", headers={"Authorization": f"Bearer {_token()}"}, timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def _admitted() -> Generator[None]:
    """Let this process join the cluster for a while; Ray read the environment when it was imported."""
    from ray import _raylet
    from ray._private import ray_constants

    before, looked_out = {name: os.environ.get(name) for name in _JOINING}, ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(_JOINING)
    cast(Any, ray_constants).ENABLE_RAY_CLUSTER = False
    cast(Any, _raylet).Config.initialize("")
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            os.environ |= {name: value} if value is not None else {}
        cast(Any, ray_constants).ENABLE_RAY_CLUSTER = looked_out
        cast(Any, _raylet).Config.initialize("")


def _token() -> str:
    from ray import _raylet

    return cast(Any, _raylet).AuthenticationTokenLoader.instance().get_raw_token(ignore_auth_mode=True)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return probe.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((_HOST, port)) != 0
