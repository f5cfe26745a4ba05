"""The node provider of a cluster on one machine: each node that the autoscaler asks for is one more raylet here.

Ray's provider of fake nodes cannot give a node memory of its own; this one does, and keeps it on loopback. The
autoscaler loads it by name.
"""

from collections.abc import Mapping
from typing import Any, cast

from ray._private.node import Node
from ray._private.parameter import RayParams
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)


class LocalNodes(FakeMultiNodeProvider):
    """Raylets of this machine as nodes."""

    def _create_node_with_resources_and_labels(
        self,
        node_config: Mapping[str, object],
        tags: Mapping[str, str],
        count: int,
        resources: Mapping[str, float],
        labels: Mapping[str, str],
    ) -> None:
        """Start one raylet; the parent class calls this `count` times."""
        custom = dict(resources)
        with self.lock:
            name = self._next_hex_node_id()
            parameters: dict[str, Any] = {
                "node_ip_address": self.provider_config["gcs_address"].rsplit(":", 1)[0],
                "gcs_address": self.provider_config["gcs_address"],
                "num_cpus": custom.pop("CPU", 0),
                "num_gpus": custom.pop("GPU", 0),
                "memory": custom.pop("memory", None),
                "object_store_memory": custom.pop("object_store_memory", None),
                "resources": custom,
                "labels": dict(labels),
                # All nodes share the session's folder: one that ends would clear uploads away that others use.
                "runtime_env_dir_name": f"runtime_resources_{name[-5:]}",
                "min_worker_port": 0,
                "max_worker_port": 0,
                "dashboard_port": None,
                "dashboard_agent_listen_port": 0,
                "env_vars": {
                    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": name,
                    "RAY_CLOUD_INSTANCE_ID": name,
                    "RAY_NODE_TYPE_NAME": tags[TAG_RAY_USER_NODE_TYPE],
                },
            }
            node = Node(RayParams(**parameters), head=False, shutdown_at_exit=False, spawn_reaper=False)
            told = {
                TAG_RAY_NODE_KIND: NODE_KIND_WORKER,
                TAG_RAY_NODE_NAME: name,
                TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE,
            }
            cast(dict[str, object], self._nodes)[name] = {"tags": told | dict(tags), "node": node}
