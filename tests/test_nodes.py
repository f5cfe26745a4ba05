"""Node types: read from cluster files, and what fits on them."""

from pathlib import Path

import pytest

from app import nodes
from app.errors import InputError
from app.nodes import NodeType, slots, unfit
from app.plan import Needs

GB = 10**9
SMALL = NodeType("small", {"CPU": 4, "memory": 16 * GB}, most=3)
ONE = NodeType("one", {"CPU": 8, "GPU": 1, "memory": 64 * GB}, most=4, market="spot")
EIGHT = NodeType("eight", {"CPU": 64, "GPU": 8, "memory": 512 * GB}, most=1, market="spot")
HEAD = NodeType("head", {"CPU": 0, "driver": 2, "memory": 8 * GB}, most=1)

RAY_UP = """\
cluster_name: tiny
max_workers: 5
provider: {type: aws, region: us-east-2}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0, driver: 4}, node_config: {}}
  cpu: {resources: {CPU: 4, memory: 1000}, node_config: {}, max_workers: 2, labels: {market: on-demand}}
  gpu: {resources: {CPU: 8, GPU: 1, memory: 2000}, node_config: {}, max_workers: 9, labels: {market: spot}}
"""
CLUSTER = """\
rayVersion: 2.60.0
headGroupSpec:
  rayStartParams: {num-cpus: "0", resources: '"{\\"driver\\": 4}"'}
  template: {spec: {containers: [{name: head, image: x, resources: {limits: {cpu: "4", memory: 8Gi}}}]}}
workerGroupSpecs:
  - groupName: gpu
    minReplicas: 0
    maxReplicas: 3
    labels: {market: spot}
    rayStartParams: {}
    template:
      spec: {containers: [{name: w, image: x, resources: {limits: {cpu: "8", memory: 2Gi, nvidia.com/gpu: 2}}}]}
"""


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return path


def test_a_ray_up_file_gives_its_types_and_no_more_nodes_than_the_cluster_may_have(tmp_path: Path) -> None:
    head, cpu, gpu = nodes.read(written(tmp_path, RAY_UP))
    assert (head.name, head.most, head.resources) == ("head", 1, {"CPU": 0, "driver": 4})
    assert (cpu.most, cpu.market) == (2, "on-demand")
    assert (gpu.most, gpu.market, gpu.resources) == (5, "spot", {"CPU": 8, "GPU": 1, "memory": 2000})


def test_a_manifest_of_a_cluster_or_of_a_job_gives_its_groups(tmp_path: Path) -> None:
    alone = f"apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {{name: t}}\nspec:\n{indented(CLUSTER)}"
    inside = f"apiVersion: ray.io/v1\nkind: RayJob\nspec:\n  rayClusterSpec:\n{indented(indented(CLUSTER))}"
    for text in (alone, f"kind: ConfigMap\n---\n{inside}"):
        head, gpu = nodes.read(written(tmp_path, text))
        assert head.resources == {"CPU": 0, "driver": 4, "memory": 8 * 2**30}
        assert (gpu.name, gpu.most, gpu.market) == ("gpu", 3, "spot")
        assert gpu.resources == {"CPU": 8, "GPU": 2, "memory": 2 * 2**30}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "cannot be read"),
        ("kind: Deployment", "is no cluster file"),
        ("[1, 2]", "is no cluster file"),
        ("kind: RayCluster\nspec: {}", "cannot read this RayCluster"),
        ("available_node_types: {gpu: {node_config: {}}}", "available_node_types.gpu.resources: Field required"),
        ("available_node_types: [gpu]", "available_node_types: Input should be"),
        ("max_workers: many\navailable_node_types: {gpu: {resources: {CPU: 1}}}", "max_workers"),
    ],
)
def test_a_file_that_is_no_cluster_is_refused_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as fault:
        nodes.read(written(tmp_path, text))
    assert told in str(fault.value)
    assert "cluster.yaml" in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        nodes.read(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (Needs(4, 0, 16 * GB), ""),
        (Needs(8, 1, 64 * GB), ""),
        (Needs(1, 0.25, GB), ""),
        (Needs(1, 2, GB), ""),
        (Needs(1, 1, GB, workers=12), ""),
        (Needs(1, 9, GB), "needs 9 GPUs on one node; the largest has 8 GPUs"),
        (Needs(65, 0, GB), "needs 65 CPUs on one node; the largest has 64 CPUs"),
        (Needs(1, 0, 600 * GB), "needs 600.0 GB of memory on one node; the largest has 512.0 GB of memory"),
        (Needs(1, 1, GB, workers=13), "needs 13 workers with 1 CPU, 1 GPU and 1.0 GB of memory each; "
                                      "all nodes together hold 12 of them"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(needs: Needs, told: str) -> None:
    assert unfit(needs, [SMALL, ONE, EIGHT, HEAD]) == told


def test_resources_on_different_nodes_are_no_help() -> None:
    big = NodeType("big", {"CPU": 64, "memory": 8 * GB}, most=1)
    assert unfit(Needs(16, 1, 4 * GB), [big, ONE]) == (
        "needs 16 CPUs, 1 GPU and 4.0 GB of memory on one node; no node has all of these"
    )


def test_a_type_that_may_have_no_node_does_not_count() -> None:
    assert unfit(Needs(1, 8, GB), [ONE, EIGHT._replace(most=0)]) == ("needs 8 GPUs on one node; the largest has 1 GPU")
    assert unfit(Needs(1, 0, GB), []).startswith("needs 1 CPU on one node; the largest has 0 CPU")


@pytest.mark.parametrize(
    ("needs", "count"),
    [
        (Needs(1, 0, GB), 3 * 4 + 4 * 8 + 64),
        (Needs(1, 1, 8 * GB), 4 + 8),
        (Needs(1, 0.25, GB), 4 * 4 + 8 * 4),
        (Needs(4, 0.25, GB), 4 * 2 + 16),
        (Needs(1, 0.75, GB), 4 + 8),
        (Needs(1, 3, GB), 2),
        (Needs(1, 0, 100 * GB), 5),
        (Needs(1, 9, GB), 0),
    ],
)
def test_cells_run_at_once_where_their_bundles_fit(needs: Needs, count: int) -> None:
    assert slots(needs, [SMALL, ONE, EIGHT, HEAD]) == count
    assert bool(count) == (unfit(needs, [SMALL, ONE, EIGHT, HEAD]) == "")


def test_workers_may_lie_on_several_nodes_and_their_cells_are_limited_by_drivers() -> None:
    assert slots(Needs(1, 1, GB, workers=5), [ONE, EIGHT]) == 2
    assert slots(Needs(1, 1, GB, workers=2), [ONE, EIGHT]) == 6
    assert slots(Needs(1, 1, GB, workers=2), [ONE, EIGHT, HEAD]) == 2
    assert slots(Needs(1, 1, GB), [ONE, EIGHT, HEAD]) == 12


def test_where_no_session_is_nothing_drains() -> None:
    import ray

    if not ray.is_initialized():
        assert nodes.draining() is None


@pytest.mark.usefixtures("ray_session")
def test_a_local_session_is_its_own_node_and_stays() -> None:
    (here,) = nodes.living()
    assert here.resources["CPU"] == 2
    assert here.most == 1
    assert unfit(Needs(2, 0, 2**20), [here]) == ""
    assert nodes.draining() is None
