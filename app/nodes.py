"""Node types: what a cluster has and what its autoscaler may start, from a cluster file or from the running cluster.

Ray's autoscaler tells nobody what it may start, so whoever starts a cluster announces its node types in the cluster's
own key-value store (`announce`), where any job finds them. The rest is arithmetic: whether a cell fits, how many run at
once. And whether this node is about to go away.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from pydantic import BaseModel, NonNegativeFloat, NonNegativeInt, ValidationError

from app.errors import FewTuneError, InputError
from app.grammar import counted
from app.plan import Needs

DRIVER = "driver"
"""Custom resource of nodes that stay: the driver of a trial with several workers takes one."""
_PLACE, _NAMESPACE = b"node_types", b"fewtune"  # in the key-value store
_MARKET = "market"  # label of our cluster files
_ALIVE = 0  # of GcsNodeInfo.GcsNodeState
_FRESH = 2.0  # seconds for which an answer about draining holds


class NodeType(NamedTuple):
    """Nodes of one shape."""

    name: str
    resources: Mapping[str, float]
    """CPU, GPU, memory (bytes) and custom ones, for each node."""
    most: int
    """How many there may be at once."""
    market: str = ""
    """on-demand, spot, or empty where nobody said."""
    labels: Mapping[str, str] = {}


def read(path: Path) -> list[NodeType]:
    """Node types of a `ray up` file, or of a KubeRay RayCluster or RayJob.

    Raises InputError where it is neither.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as fault:
        raise InputError(f"{path}: the cluster file cannot be read ({str(fault).splitlines()[0]})") from fault
    for document in documents:
        if isinstance(document, dict):
            config = _config(path, cast(dict[str, Any], document))
            if config is not None:
                return _types(path, config)
    raise InputError(f"{path} is no cluster file: it needs available_node_types, or to be a RayCluster or RayJob")


def gcs_address(given: str = "") -> str:
    """Where the GCS of a cluster is, host:port: as given, by RAY_ADDRESS, or that of the Ray on this machine.

    Raises InputError where there is none.
    """
    from ray._private import services

    try:
        return cast(str, cast(Any, services).canonicalize_bootstrap_address_or_die(given or None))
    except ConnectionError as fault:
        raise InputError("no Ray runs on this machine: give --address HOST:PORT of a cluster's head") from fault


def gcs(address: str) -> Any:
    """A client of the GCS at `address`, host:port."""
    from ray import _raylet

    return cast(Any, _raylet).GcsClient(address=address)


def alive(client: Any) -> dict[str, Any]:
    """Hex id -> what the GCS knows of a living node."""
    found = cast(dict[Any, Any], client.get_all_node_info(timeout=10, state_filter=_ALIVE))
    return {node.hex(): info for node, info in found.items()}


def announce(types: Sequence[NodeType], address: str) -> None:
    """Leave the node types in the cluster whose GCS is at `address` (host:port), for `living`.

    Raises FewTuneError where it does not answer.
    """
    from ray.exceptions import RayError

    content = json.dumps([_jsonable(node) for node in types]).encode()
    try:
        gcs(address).internal_kv_put(_PLACE, content, True, _NAMESPACE)
    except (RayError, RuntimeError) as fault:
        raise FewTuneError(f"the cluster at {address} does not answer ({str(fault).splitlines()[0]})") from fault


def living() -> list[NodeType]:
    """What the running Ray session has, and what its autoscaler may start as far as that was announced."""
    from ray._private import worker

    client = cast(Any, worker).global_worker.gcs_client
    kept = cast(bytes | None, client.internal_kv_get(_PLACE, _NAMESPACE))
    types = [NodeType(**one) for one in json.loads(kept)] if kept else []
    known = {node.name for node in types}
    for node in alive(client).values():
        if node.node_type_name not in known:
            labels, name = dict(node.labels), node.node_type_name or node.node_name
            types.append(NodeType(name, dict(node.resources_total), 1, labels.get(_MARKET, ""), labels))
    return types


def unfit(needs: Needs, types: Sequence[NodeType]) -> str:
    """Why no cell of these needs could ever run on these nodes, as the end of a sentence; empty where one can."""
    allowed = [node for node in types if node.most > 0]
    wanted = _bundle(needs)
    for name, amount in wanted.items():
        most = max((node.resources.get(name, 0.0) for node in allowed), default=0.0)
        if amount > most:
            return f"needs {_amount(name, amount)} on one node; the largest has {_amount(name, most)}"
    room = sum(node.most * _held(wanted, node) for node in allowed)
    if not room:
        return f"needs {_amounts(wanted)} on one node; no node has all of these"
    if room < needs.workers:
        return f"needs {needs.workers} workers with {_amounts(wanted)} each; all nodes together hold {room} of them"
    return ""


def slots(needs: Needs, types: Sequence[NodeType]) -> int:
    """How many cells of these needs run at once when everything that may be started is up."""
    wanted = _bundle(needs)
    cells = sum(node.most * _held(wanted, node) for node in types) // needs.workers
    drivers = int(sum(node.most * node.resources.get(DRIVER, 0.0) for node in types))
    return min(cells, drivers) if needs.workers > 1 and drivers else cells


class _Draining:
    """The last answer of `draining`: the GCS is asked every two seconds at most."""

    asked = -math.inf
    ends: float | None = None
    """On this process's monotonic clock; None: the node stays."""


def draining() -> float | None:
    """Seconds until the node that this process runs on goes away; None: it stays, or no Ray session is here.

    The deadline is a wall clock's, read once when the drain is first seen and then counted down monotonically; infinite
    where the drain has none.
    """
    import ray

    if not ray.is_initialized():
        return None
    now = time.monotonic()
    if now - _Draining.asked >= _FRESH:
        _Draining.asked = now
        left = _left()
        if left is None or _Draining.ends is None:
            _Draining.ends = None if left is None else now + left
    return None if _Draining.ends is None else max(0.0, _Draining.ends - now)


def _left() -> float | None:
    import ray
    from ray._private import state

    drains = cast(dict[str, int], cast(Any, state).state.get_draining_nodes())
    deadline = drains.get(ray.get_runtime_context().get_node_id())
    if deadline is None:
        return None
    return deadline / 1000 - time.time() if deadline else math.inf


def _config(path: Path, document: dict[str, Any]) -> dict[str, Any] | None:
    """The part of a document that an autoscaler reads; None where it is no cluster."""
    if "available_node_types" in document:
        return document
    spec = document.get("spec")
    if document.get("kind") == "RayJob" and isinstance(spec, dict):
        spec = cast(dict[str, Any], spec).get("rayClusterSpec")
    if document.get("kind") not in ("RayCluster", "RayJob") or not isinstance(spec, dict):
        return None
    from ray.autoscaler._private.kuberay import autoscaling_config

    try:
        return cast(Any, autoscaling_config)._derive_autoscaling_config_from_ray_cr(
            {"metadata": {"name": path.stem, "namespace": "default"}, "spec": spec}
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise InputError(f"{path}: Ray's autoscaler cannot read this {document['kind']} ({fault!r})") from fault


class _Given(BaseModel):
    """What is read of a node type; the rest is for the cloud."""

    resources: dict[str, NonNegativeFloat]
    max_workers: NonNegativeInt | None = None
    labels: dict[str, str] = {}


class _Config(BaseModel):
    """What is read of an autoscaler's file."""

    available_node_types: dict[str, _Given]
    head_node_type: str = ""
    max_workers: NonNegativeInt = 2  # Ray's own default


def _types(path: Path, config: dict[str, Any]) -> list[NodeType]:
    try:
        read = _Config.model_validate(config)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from fault
    types: list[NodeType] = []
    for name, given in read.available_node_types.items():
        head = name == read.head_node_type
        most = (0 if head else read.max_workers) if given.max_workers is None else given.max_workers
        nodes = min(most, read.max_workers) + head
        types.append(NodeType(name, given.resources, nodes, given.labels.get(_MARKET, ""), given.labels))
    return types


def _jsonable(node: NodeType) -> Mapping[str, object]:
    return node._asdict() | {"resources": dict(node.resources), "labels": dict(node.labels)}


def _bundle(needs: Needs) -> dict[str, float]:
    """What one worker takes on one node."""
    wanted: dict[str, float] = {"CPU": needs.cpus, "GPU": needs.gpus, "memory": needs.memory}
    return {name: amount for name, amount in wanted.items() if amount}


def _held(wanted: Mapping[str, float], node: NodeType) -> int:
    """How many bundles one node holds; parts of a GPU never lie on two."""
    return min(_times(amount, node.resources.get(name, 0.0), name) for name, amount in wanted.items())


def _times(amount: float, there: float, name: str) -> int:
    if name == "GPU" and amount < 1:
        return int(there) * int(1 / amount + 1e-9)
    return int(there / amount + 1e-9)


def _amounts(wanted: Mapping[str, float]) -> str:
    *most, last = [_amount(name, amount) for name, amount in wanted.items()]
    return f"{', '.join(most)} and {last}" if most else last


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / 1e9:.1f} GB of memory"
    return counted(amount, name)
