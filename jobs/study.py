"""`python -m jobs.study STUDY --store ROOT`: a whole study, on the cluster of RAY_ADDRESS or on this machine."""

import argparse
import os
import sys

from app.launch.job import study

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--store", required=True)
    parser.add_argument("--data-mirror", default=os.environ.get("FEWTUNE_DATA_MIRROR"))
    parser.add_argument("--replace", action="store_true", help="compute stale cells anew")
    given = parser.parse_args()
    sys.exit(study(given.study, given.store, given.data_mirror, replace=given.replace))
