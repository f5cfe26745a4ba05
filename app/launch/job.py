"""A study as a job: it tells its log and its store how it goes, and ends well when it is stopped."""

import signal
import time

from rich.console import Console

from app import stages
from app.errors import DISK_FULL, FewTuneError, disk_full
from app.launch.journal import Journal
from app.launch.progress import Lines, Several, summary
from app.launch.remote import refuse, retry, submission
from app.launch.session import session
from app.store import Store
from app.study import load


def study(path: str, root: str, mirror: str | None, *, replace: bool) -> int:
    """Run a study to its end; returns what the process exits with, as the command line does: 0, 1 or 2."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `fewtune stop`: the journal hears of it
    started, console = time.monotonic(), Console()
    try:
        file, store = load(path), Store(root)
        with Journal(store, stages.plan(file), submission(), retry=retry()) as journal, session():
            outcome = stages.run(file, store, mirror, Several(Lines(console), journal), replace=replace)
    except FewTuneError as fault:
        refuse(str(fault))
        return fault.exit_code
    except OSError as fault:
        refuse(DISK_FULL if disk_full(fault) else str(fault))
        return 1
    except (KeyboardInterrupt, SystemExit):  # the latter is how Ray has a driver end on a signal
        print("stopped: what was finished is kept; submit the study again and it goes on", flush=True)
        return 1
    for line in summary(outcome, time.monotonic() - started):
        console.print(line, markup=False, soft_wrap=True)
    return int(bool(outcome.failures))
