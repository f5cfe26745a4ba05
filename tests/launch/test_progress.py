"""How a run tells what it does, in lines that people and `fewtune logs --failed` read."""

import io

from rich.console import Console

from app.grammar import counted
from app.launch.progress import Lines, failures
from app.plan.schedule import NEEDED_FAILED


def test_failures_are_found_in_a_log_root_causes_first() -> None:
    written = io.StringIO()
    lines = Lines(Console(file=written))
    for slug, reason in (
        ("evaluate/a/b", NEEDED_FAILED), ("tune/a", "no such revision: main"), ("tune/b", "the loss became nan"),
        ("tune/c", "no such revision: main"), ("evaluate/c/d", NEEDED_FAILED),
    ):  # fmt: skip
        lines.failed(slug, reason)
    assert failures(f"tune: 1 cell to compute\n{written.getvalue()}failed 3 cells, for example tune/a: all\n") == [
        "2 cells, for example tune/a: no such revision: main",
        "1 cell, for example tune/b: the loss became nan",
        f"2 cells, for example evaluate/a/b: {NEEDED_FAILED}",
    ]


def test_nouns_follow_their_numbers() -> None:
    told = [counted(*given) for given in ((1, "cell"), (0, "cell"), (0.5, "GPU"), (1.0, "GPU"), (2_000_000, "token"))]
    assert told == ["1 cell", "0 cells", "0.5 GPUs", "1 GPU", "2000000 tokens"]
    assert counted(2, "cell waits", "cells wait") == "2 cells wait"
