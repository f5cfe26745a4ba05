"""The command line within the tests' own process: what it imports is there already, and costs a process seconds."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

Answer = subprocess.CompletedProcess[str]


def own_names() -> list[str]:
    """Variables of the environment that FewTune or Ray heed."""
    return [name for name in os.environ if name.startswith(("FEWTUNE_", "RAY_"))]


def fewtune(
    *words: object, at: Path | None = None, columns: int = 200, environment: Mapping[str, str] | None = None
) -> Answer:
    """What a process of its own would answer, in the folder `at`; what the command line never catches is raised.

    `environment`: what is set of FewTune and Ray, and all else that differs from here; left out: all is as it is here.
    """
    from app.cli import console
    from app.cli.main import main

    arguments = ["fewtune", *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    heeded, here = signal.getsignal(signal.SIGTERM), dict(os.environ)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(at or Path.cwd())
        patch.setattr(sys, "argv", arguments)
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(console.out, "width", columns)  # read from the environment when they were made
        patch.setattr(console.err, "width", columns)
        if environment is not None:
            for name in own_names():
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
        try:
            with pytest.raises(SystemExit) as end:
                main()
        finally:
            signal.signal(signal.SIGTERM, heeded)  # `run` has it interrupt
            os.environ.clear()
            os.environ |= here  # with Ray's client, a command leaves the address of its cluster there
    code = end.value.code or 0
    assert isinstance(code, int), code
    return Answer(arguments, code, out.getvalue(), err.getvalue())
