"""`python -m jobs.study STUDY --store ROOT`: a whole study, on the cluster of RAY_ADDRESS or on this machine."""

import argparse
import sys

from rich.console import Console

from app import stages
from app.errors import FewTuneError
from app.launch.progress import Lines
from app.launch.session import session
from app.store import Store
from app.study import load

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--store", required=True)
    parser.add_argument("--data-mirror")
    given = parser.parse_args()
    try:
        with session():
            outcome = stages.run(load(given.study), Store(given.store), given.data_mirror, Lines(Console()))
    except FewTuneError as fault:
        sys.exit(f"error {fault}")
    sys.exit(bool(outcome.failures))
