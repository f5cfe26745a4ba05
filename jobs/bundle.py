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
    parser.add_argument("--allow-mixed", action="store_true", help="cells of several versions")
    given = parser.parse_args()
    try:
        with session():
            responses, mixed = not given.without_responses, given.allow_mixed
            bundle(Store(given.store), logs(), responses=responses, mixed=mixed, tell=answer)
    except (FewTuneError, OSError) as fault:
        sys.exit(f"error {fault}")
