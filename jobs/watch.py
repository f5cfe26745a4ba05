"""`python -m jobs.watch --aws|--gcp|--kubernetes`: drain this node when its cloud says that the machine is to go."""

import argparse
import logging
import sys

from app.errors import FewTuneError
from app.launch import preemption

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    clouds = parser.add_mutually_exclusive_group(required=True)
    for name in ("aws", "gcp", "kubernetes"):
        clouds.add_argument(f"--{name}", dest="cloud", action="store_const", const=name)
    for name in ("--address", "--endpoint", "--node"):
        parser.add_argument(name, default="")
    for name, seconds in (("--every", 5.0), ("--grace", 25.0)):
        parser.add_argument(name, type=float, default=seconds)
    parser.add_argument("--rebalance", action="store_true")
    logging.basicConfig(format="%(asctime)s %(message)s")
    try:
        preemption.run(**vars(parser.parse_args()))
    except FewTuneError as fault:
        sys.exit(f"error {fault}")
