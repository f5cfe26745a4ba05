"""The watcher of a spot node: it reads the cloud's notice that the machine is about to go, and drains the node.

Nothing in Ray does. A drained node gets no new work, and trials on it save their state and move (`app.nodes.draining`).
AWS and GCP answer on a metadata endpoint that only the machine itself reaches; on Kubernetes a preStop hook is the
notice. A notice is acted on once; an endpoint that does not answer is told once and asked again.
"""

import logging
import socket
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple, cast

import requests
from ray.exceptions import RayError

from app import nodes
from app.errors import InputError

Cloud = Literal["aws", "gcp", "kubernetes"]
ENDPOINTS: dict[Cloud, str] = {"aws": "http://169.254.169.254", "gcp": "http://metadata.google.internal"}
_AWS_NOTICE, _GCP_NOTICE = 120.0, 30.0  # seconds that each cloud gives
_PATIENCE = 3.0  # seconds for one answer
_log = logging.getLogger(__name__)


class Notice(NamedTuple):
    """That this machine is to go."""

    seconds: float | None
    """From now; None: nobody said when."""
    reason: str


def run(
    cloud: Cloud, address: str, endpoint: str, node: str, every: float, grace: float, rebalance: bool = False
) -> None:
    """Watch until this node is drained.

    `address`: of the GCS, empty for that of the Ray on this machine. `endpoint`: in place of the cloud's own. `node`:
    hex id, empty where one raylet runs on this machine. `every`: seconds between two questions. `grace`: seconds that
    Kubernetes gives. `rebalance`: AWS's mere recommendation counts as well. Raises InputError where no node is here.
    """
    address = nodes.gcs_address(address)
    if cloud == "kubernetes":
        return leave(address, node, grace)
    node = node or here(address)
    web = requests.Session()
    web.trust_env = False  # a proxy would not know this machine
    place = endpoint.rstrip("/") or ENDPOINTS[cloud]
    notice = _await(lambda: aws(web, place, rebalance) if cloud == "aws" else gcp(web, place), every)
    while True:
        try:
            return drain(address, node, notice)
        except (RayError, RuntimeError) as fault:  # of the GCS: the node goes all the same, so it is tried again
            _log.warning("the node could not be drained: %s", fault)
            time.sleep(1)


def leave(address: str, node: str, grace: float) -> None:
    """The preStop hook of a Kubernetes pod: drain at once, and hold the pod until its node is idle or time is up.

    Where Ray has left already there is nothing to do.
    """
    until = time.monotonic() + grace
    try:
        node = node or here(address)
        drain(address, node, Notice(grace, "the pod is deleted"))
        while time.monotonic() < until and node in nodes.alive(nodes.gcs(address)):
            time.sleep(1)
    except (RayError, RuntimeError, InputError) as fault:
        _log.warning("the node was not drained: %s", fault)


def aws(web: requests.Session, endpoint: str, rebalance: bool = False) -> Notice | None:
    """EC2's spot notice through IMDSv2: an instance-action that appears two minutes before the end."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = web.put(f"{endpoint}/latest/api/token", headers=ttl, timeout=_PATIENCE)
    token.raise_for_status()
    headers = {"X-aws-ec2-metadata-token": token.text}
    answer = web.get(f"{endpoint}/latest/meta-data/spot/instance-action", headers=headers, timeout=_PATIENCE)
    if answer.status_code != requests.codes.not_found:
        answer.raise_for_status()
        told = cast(dict[str, str], answer.json())
        left = datetime.fromisoformat(told["time"]).timestamp() - time.time()
        # A clock that is wrong must neither cut the time short nor promise more than AWS ever gives.
        return Notice(left if 0 < left <= _AWS_NOTICE else _AWS_NOTICE, f"AWS is to {told['action']} this instance")
    if rebalance:
        place = f"{endpoint}/latest/meta-data/events/recommendations/rebalance"
        if web.get(place, headers=headers, timeout=_PATIENCE).ok:
            return Notice(None, "AWS recommends to leave this instance")
    return None


def gcp(web: requests.Session, endpoint: str) -> Notice | None:
    """Compute Engine's word on its preemption, which leaves 30 seconds."""
    place = f"{endpoint}/computeMetadata/v1/instance/preempted"
    answer = web.get(place, headers={"Metadata-Flavor": "Google"}, timeout=_PATIENCE)
    answer.raise_for_status()
    return Notice(_GCP_NOTICE, "GCP preempts this instance") if answer.text.strip() == "TRUE" else None


def drain(address: str, node: str, notice: Notice) -> None:
    """As `ray drain-node` does. Raises RayError where the GCS does not answer, RuntimeError where it refuses."""
    from ray.core.generated import autoscaler_pb2

    deadline = 0 if notice.seconds is None else int((time.time() + notice.seconds) * 1000)
    reason = cast(int, cast(Any, autoscaler_pb2).DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"))
    accepted, why = nodes.gcs(address).drain_node(node, reason, notice.reason, deadline, timeout=10)
    if not accepted:
        raise RuntimeError(why)
    left = "" if notice.seconds is None else f", {notice.seconds:.0f} s before it goes"
    _log.warning("%s: node %s is drained%s", notice.reason, node, left)


def here(address: str) -> str:
    """The id of the node whose raylet runs on this machine. Raises InputError where there is none, or several."""
    name = socket.gethostname()
    found = [node for node, info in nodes.alive(nodes.gcs(address)).items() if info.node_manager_hostname == name]
    if len(found) != 1:
        raise InputError(f"{len(found)} nodes of the cluster at {address} run on {name}: name one with --node")
    return found[0]


def _await(ask: Callable[[], Notice | None], every: float) -> Notice:
    silent = False
    while True:
        try:
            notice = ask()
            if silent:
                _log.warning("the metadata endpoint answers again")
            silent = False
            if notice is not None:
                return notice
        except (requests.RequestException, ValueError, KeyError) as fault:
            if not silent:
                _log.warning("the metadata endpoint does not answer as it should, and is asked again: %s", fault)
            silent = True
        time.sleep(every)
