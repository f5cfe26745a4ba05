"""`python -m jobs.relay STORE`: how a store stands, laid where the dashboard can hand it over, until stopped."""

import sys

from app.errors import FewTuneError
from app.launch.gathering import logs
from app.launch.relay import keep
from app.launch.remote import answer
from app.launch.session import session
from app.store import Store

if __name__ == "__main__":
    try:
        with session():
            keep(Store(sys.argv[1]), logs(), answer)
    except (FewTuneError, OSError) as fault:
        sys.exit(f"error {fault}")
