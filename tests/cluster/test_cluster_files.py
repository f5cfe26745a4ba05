"""The cluster files: valid for those who read them, without secrets, large enough for every study that comes along."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ray.autoscaler._private.kuberay import autoscaling_config
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import GangResourceRequest

from app import nodes, stages
from app.errors import StudyError
from app.plan import EvaluateCell, Needs, TuneCell
from app.study import load

ROOT = Path(__file__).parents[2]
FILES = ("aws", "gcp", "kuberay")
STUDIES = sorted(path.stem for path in (ROOT / "jobs/studies").glob("*.yaml"))
GPU_MEMORY = {"aws": 96e9, "gcp": 80e9, "kuberay": 80e9}  # bytes of each GPU of the file's node types

# Fields of KubeRay's API that the manifests may use (its CRDs refuse no others, they drop them silently); a pod's own
# are Kubernetes'. https://ray-project.github.io/kuberay/reference/api/
OPEN: Mapping[str, Any] = {}  # anything below
CONTAINER = {
    "name": OPEN, "image": OPEN, "resources": {"limits": OPEN, "requests": OPEN},
    "lifecycle": {"postStart": {"exec": {"command": OPEN}}, "preStop": {"exec": {"command": OPEN}}},
}  # fmt: skip
POD = {
    "spec": {
        "containers": CONTAINER, "serviceAccountName": OPEN, "nodeSelector": OPEN,
        "tolerations": {"key": OPEN, "operator": OPEN, "value": OPEN, "effect": OPEN},
        "terminationGracePeriodSeconds": OPEN,
    }
}  # fmt: skip
GROUP = {
    "groupName": OPEN, "minReplicas": OPEN, "maxReplicas": OPEN, "labels": OPEN, "rayStartParams": OPEN,
    "template": POD,
}  # fmt: skip
SPECS = {
    "RayCluster": {
        "rayVersion": OPEN, "authOptions": {"mode": OPEN}, "enableInTreeAutoscaling": OPEN,
        "autoscalerOptions": {"version": OPEN, "idleTimeoutSeconds": OPEN, "upscalingMode": OPEN},
        "headGroupSpec": {"serviceType": OPEN, "rayStartParams": OPEN, "template": POD}, "workerGroupSpecs": GROUP,
    },
    "RayJob": {"clusterSelector": OPEN, "entrypoint": OPEN, "submissionMode": OPEN},
}  # fmt: skip
TOP = {"apiVersion": OPEN, "kind": OPEN, "metadata": {"name": OPEN, "generateName": OPEN}}


class Launch(NamedTuple):
    """What the autoscaler would do."""

    types: Mapping[str, int]
    infeasible: int


def document(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster" / f"{name}.yaml").read_text())


def config(name: str) -> dict[str, Any]:
    """As the autoscaler reads it."""
    given = document(name)
    if name != "kuberay":
        return prepare_config(given)
    given["metadata"]["namespace"] = "default"
    return autoscaling_config._derive_autoscaling_config_from_ray_cr(given)


def bundle(needs: Needs) -> dict[str, float]:
    wanted = {"CPU": needs.cpus, "GPU": needs.gpus, "memory": needs.memory}
    return {name: amount for name, amount in wanted.items() if amount}


def asked(name: str, wanted: Iterable[Needs]) -> Launch:
    """Autoscaler v2's own answer to placement groups of these needs, in an empty cluster."""
    read = AutoscalingConfig(config(name), skip_content_hash=True)
    gangs = [
        GangResourceRequest(requests=[ResourceRequestUtil.make(bundle(needs))] * needs.workers) for needs in wanted
    ]
    reply = ResourceDemandScheduler().schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=read.get_node_type_configs(),
            max_num_nodes=read.get_max_num_nodes(),
            idle_timeout_s=300,
            gang_resource_requests=gangs,
        )
    )
    return Launch(
        {launch.instance_type: launch.count for launch in reply.to_launch}, len(reply.infeasible_gang_resource_requests)
    )


def unknown(given: object, allowed: Mapping[str, Any], at: str = "") -> list[str]:
    """Fields that are not among those allowed."""
    if allowed is OPEN:
        return []
    if isinstance(given, list):
        return [fault for one in given for fault in unknown(one, allowed, at)]
    assert isinstance(given, dict), f"{at} holds {given!r}"
    strange = [f"{at}.{name}" for name in given if name not in allowed]
    known = [name for name in given if name in allowed]
    return strange + [fault for name in known for fault in unknown(given[name], allowed[name], f"{at}.{name}")]


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_accepts_the_file(name: str) -> None:
    validate_config(prepare_config(document(name)))


def test_ray_refuses_a_file_with_a_slip_of_the_pen() -> None:
    given = document("aws")
    given["available_node_types"]["gpu-1"]["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(given))


@pytest.mark.parametrize("name", ["kuberay", "rayjob"])
def test_a_manifest_uses_only_known_fields(name: str) -> None:
    given = document(name)
    assert given["apiVersion"] == "ray.io/v1"
    assert unknown(given, TOP | {"spec": SPECS[given["kind"]]}) == []
    if name == "kuberay":
        given["spec"]["workerGroupSpecs"][1]["maxReplica"] = 3
        given["spec"]["autoscalerOption"] = {}
        strange = unknown(given, TOP | {"spec": SPECS["RayCluster"]})
        assert sorted(strange) == [".spec.autoscalerOption", ".spec.workerGroupSpecs.maxReplica"]


@pytest.mark.parametrize("name", FILES)
def test_a_cluster_starts_empty_and_has_spot_nodes_of_1_4_and_8_gpus(name: str) -> None:
    types = nodes.read(ROOT / "cluster" / f"{name}.yaml")
    read = config(name)["available_node_types"]
    assert all(read[node.name]["min_workers"] == 0 for node in types if node.name in read and node.most)
    head = next(node for node in types if nodes.DRIVER in node.resources)
    assert (head.resources["CPU"], head.resources[nodes.DRIVER], head.most) == (0, 16, 1)
    spot = {node.resources["GPU"] for node in types if node.market == "spot"}
    assert spot == {1, 4, 8}
    assert [node.market for node in types if node is not head and "GPU" not in node.resources] == ["on-demand"]
    assert all("memory" in node.resources for node in types)


@pytest.mark.parametrize("name", FILES)
def test_a_cluster_asks_for_a_token_and_holds_none(name: str) -> None:
    text = (ROOT / "cluster" / f"{name}.yaml").read_text()
    assert not re.search(r"[0-9a-f]{32}|AKIA|PRIVATE KEY|password", text)
    if name == "kuberay":
        given = document(name)["spec"]
        assert given["authOptions"] == {"mode": "token"}
        assert given["autoscalerOptions"]["version"] == "v2"
        assert given["enableInTreeAutoscaling"] is True
        return
    given = document(name)
    assert "--env RAY_AUTH_MODE=token" in given["docker"]["run_options"]
    assert "~/.ray/auth_token" in given["file_mounts"].values()
    (start,) = [command for command in given["head_start_ray_commands"] if "--head" in command]
    assert "--dashboard-host=127.0.0.1" in start


@pytest.mark.parametrize("name", FILES)
def test_every_spot_node_is_watched(name: str) -> None:
    given = document(name)
    if name != "kuberay":
        assert any(f"python -m jobs.watch --{name}" in command for command in given["worker_start_ray_commands"])
        return
    for group in given["spec"]["workerGroupSpecs"]:
        if group["labels"]["market"] == "spot":
            pod = group["template"]["spec"]
            command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            assert command[:4] == ["python", "-m", "jobs.watch", "--kubernetes"]
            assert float(command[-1]) <= pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", FILES)
def test_every_cell_of_every_study_finds_a_node(name: str, study: str) -> None:
    try:
        planned = stages.plan(load(ROOT / "jobs/studies" / f"{study}.yaml"))
    except StudyError as fault:
        if "is not installed" not in str(fault):
            raise
        pytest.skip("the package that ships this study's model is not installed")
    types = nodes.read(ROOT / "cluster" / f"{name}.yaml")
    wanted = sorted({cell.needs for cell in planned.cells}, key=str)
    assert [nodes.unfit(needs, types) for needs in wanted] == [""] * len(wanted)
    launch = asked(name, wanted)
    assert launch.infeasible == 0
    assert launch.types
    assert any("gpu" in kind for kind in launch.types) == any(needs.gpus for needs in wanted)
    for cell in planned.cells:
        if isinstance(cell, TuneCell | EvaluateCell) and cell.needs.gpus:
            assert cell.gpu_bytes <= GPU_MEMORY[name] * cell.needs.gpus, cell.slug


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "change",
    [
        {"cpus": 1}, {"cpus": 15}, {"cpus": 500}, {"gpus": 0.125}, {"gpus": 1}, {"gpus": 3}, {"gpus": 8}, {"gpus": 9},
        {"memory": 70 * 10**9, "gpus": 1}, {"memory": 10**13}, {"gpus": 1, "workers": 28}, {"gpus": 1, "workers": 29},
        {"gpus": 8, "workers": 2}, {"cpus": 90, "gpus": 2},
    ],
)  # fmt: skip
def test_what_is_called_unfit_is_what_the_autoscaler_calls_infeasible(name: str, change: dict[str, Any]) -> None:
    needs = replace(Needs(1, 0, 10**9), **change)
    types = nodes.read(ROOT / "cluster" / f"{name}.yaml")
    assert bool(asked(name, [needs]).infeasible) == bool(nodes.unfit(needs, types))


@pytest.mark.parametrize("name", FILES)
def test_as_many_cells_start_at_once_as_there_are_slots(name: str) -> None:
    needs, types = Needs(4, 1, 60 * 10**9), nodes.read(ROOT / "cluster" / f"{name}.yaml")
    count = nodes.slots(needs, types)
    assert count == 28
    assert asked(name, [needs] * count).infeasible == 0
    assert sum(asked(name, [needs] * (count + 1)).types.values()) == 15  # all GPU nodes, and one cell waits


def test_the_image_runs_the_version_of_ray_that_the_files_name() -> None:
    image = (ROOT / "cluster/Dockerfile").read_text()
    assert "FROM rayproject/ray:2.60.0-py311-gpu" in image
    assert document("kuberay")["spec"]["rayVersion"] == "2.60.0"
    assert {document(name)["docker"]["image"] for name in ("aws", "gcp")} == {"rayproject/ray:2.60.0-py311-gpu"}
    assert re.search(r"^USER ray$", image, re.MULTILINE)
    for folder in re.findall(r"^COPY --chown=ray:users (.+) \S+$", image, re.MULTILINE):
        assert all((ROOT / name).exists() for name in folder.split())


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml", "Dockerfile"])
def test_nodes_have_all_that_a_study_may_ask_for(name: str) -> None:
    (extras,) = re.findall(r'pip install .*\[(.+)\]" -c', (ROOT / "cluster" / name).read_text())
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) == set(offered) - {"bench", "dev"}
