"""`python -m jobs.announce CLUSTER.yaml`: tell a running cluster what its autoscaler may start, so that jobs know."""

import argparse
import sys
from pathlib import Path

from app import nodes
from app.errors import FewTuneError

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cluster", type=Path)
    parser.add_argument("--address", default="")
    given = parser.parse_args()
    try:
        nodes.announce(nodes.read(given.cluster), nodes.gcs_address(given.address))
    except FewTuneError as fault:
        sys.exit(f"error {fault}")
