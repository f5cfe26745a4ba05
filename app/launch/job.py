"""A study as a job: it tells its log and its store how it goes, and ends well when it is stopped."""

import signal
import time

from rich.console import Console

from app import stages
from app.errors import FewTuneError
from app.launch.journal import Journal
from app.launch.progress import Lines, Several, summary
from app.launch.remote import submission
from app.launch.session import session
from app.store import Store
from app.study import load


def study(path: str, root: str, mirror: str | None, *, replace: bool) -> str | int:
    """Run a study to its end; returns what the process exits with: a sentence, or whether cells failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `fewtune stop`: the journal hears of it
    started, console = time.monotonic(), Console()
    try:
        file, store = load(path), Store(root)
        with Journal(store, stages.plan(file), submission()) as journal, session():
            outcome = stages.run(file, store, mirror, Several(Lines(console), journal), replace=replace)
    except (FewTuneError, OSError) as fault:
        return f"error {fault}"
    except (KeyboardInterrupt, SystemExit):  # the latter is how Ray has a driver end on a signal
        return "stopped: what was finished is kept; submit the study again and it goes on"
    for line in summary(outcome, time.monotonic() - started):
        console.print(line, markup=False, soft_wrap=True)
    return int(bool(outcome.failures))
