"""`python -m jobs.bundle STORE`: tables and report of a store, laid where the dashboard can hand them over."""

import argparse
import sys

from app.errors import FewTuneError
from app.launch.gathering import bundle, logs
from app.launch.remote import answer
from app.launch.session import session
from app.store import Store

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--without-responses", action="store_true")
    given = parser.parse_args()
    try:
        with session():
            bundle(Store(given.store), logs(), responses=not given.without_responses, tell=answer)
    except (FewTuneError, OSError) as fault:
        sys.exit(f"error {fault}")
