"""Seconds that are not counted would make whoever starts many processes look fast."""

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.bench.spending import Spent, how, spend

BURN = "import time\nwhile time.process_time() < 0.2: pass"
IGNORING = f"""
import signal, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as Ray's raylet does: nobody adds up what these take
children = [subprocess.Popen([sys.executable, "-c", {BURN!r}]) for _ in range(3)]
for child in children:
    child.wait()
"""


def test_children_that_nobody_waits_for_are_counted(tmp_path: Path) -> None:
    spent = spend([sys.executable, "-c", IGNORING], tmp_path)
    if not spent.exact:
        pytest.skip("this kernel counts for nobody")
    assert spent.cpu >= 0.6
    assert spent.at(spent.course[0][0]) <= spent.cpu
    assert spent.at(0.0) == 0.0
    assert "kernel's count" in how(spent)


def test_a_command_that_fails_tells_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        spend([sys.executable, "-c", "raise SystemExit('out of luck')"], tmp_path)
    assert "out of luck" in str(raised.value.output)


def test_what_was_only_looked_at_is_said_to_be_so() -> None:
    assert "too few" in how(Spent(1.0, 1.0, 0.0, False, (), ""))
