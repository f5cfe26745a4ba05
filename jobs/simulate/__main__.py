"""`python -m jobs.simulate`: coverage of intervals and errors of tests, simulated; kept in docs/coverage.md.

1,500 experiments a case take about a quarter of an hour on two cores. Exit code 1: a primary interval covers less, or a
difference that is none is claimed more often, than was asked. What covers more is told as a deviation.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported: there is a process for each core

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.errors import FewTuneError
from jobs.simulate import document
from jobs.simulate.cases import cases
from jobs.simulate.running import run

_ROOT = Path(__file__).parents[2]
EXPERIMENTS = 1500


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, write and tell what was asked."""
    asked = argparse.ArgumentParser(prog="python -m jobs.simulate", description=__doc__)
    asked.add_argument("--experiments", type=int, default=EXPERIMENTS, help="of each case")
    asked.add_argument(
        "--out",
        type=Path,
        default=_ROOT / "docs" / "coverage.md",
        help="a file, or a folder for coverage.md; a .json goes beside it",
    )
    asked.add_argument("--only", metavar="PART", help="cases of one section: coverage, further, items, difference, ...")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    told = asked.parse_args(arguments)
    if told.experiments < 2 or told.workers < 1:
        asked.error("--experiments must be at least 2 and --workers at least 1")
    chosen = [case for case in cases() if told.only in (None, case.part)]
    if not chosen:
        asked.error(f"--only {told.only}: the parts are {', '.join(dict.fromkeys(case.part for case in cases()))}")
    found = run(chosen, told.experiments, told.workers)
    command = "python -m jobs.simulate"
    if told.experiments != EXPERIMENTS:
        command += f" --experiments {told.experiments}"
    if told.only:
        command += f" --only {told.only}"
    out = told.out / "coverage.md" if told.out.is_dir() else told.out
    document.write(found, out, command, datetime.now(UTC).date().isoformat())
    kept = document.bounds(found)
    print(*(one.sentence for one in kept), f"written: {out}", sep="\n")
    return int(not all(one.safe for one in kept))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FewTuneError as fault:
        print(fault, file=sys.stderr)
        sys.exit(fault.exit_code)
