"""A study of 38 cells, small enough to be run again and again, one of 8, and how tests run them.

All through the command line.
"""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

STUDY = """
schema_version: 1
name: small
bases:
  - {family: llama, source: ladder, sizes: [32x2], pretraining: {tokens: 200000}}
  - {family: gpt2, source: ladder, sizes: [32x1], pretraining: {tokens: 60000}}
recipes:
  - {method: full, examples: 640}
  - {method: lora, examples: 320}
tasks: [first, last, plural, antonym]
answers: {max_new_tokens: 4}
test_items: 12
"""
TINY = """
schema_version: 1
name: tiny
bases:
  - {family: llama, source: ladder, sizes: [32x2], pretraining: {tokens: 200000}}
recipes:
  - {method: lora, examples: 320}
tasks: [last, plural]
answers: {max_new_tokens: 4}
test_items: 12
"""
TABLES = ("scores", "pairs", "correlations")


def start(study: Path, store: Path | str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "run", str(study), "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """A shell that starts the tests in the background has all their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert "Traceback" not in output, output
    assert "\tINFO " not in output, output  # of a library, whatever it is
    return output


def tables(store: Path) -> dict[str, str]:
    """Content hashes of the tables and of all responses."""
    files = [store / "tables" / f"{name}.parquet" for name in TABLES]
    files += sorted((store / "tables" / "responses").rglob("*.parquet"))
    return {str(f.relative_to(store)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def count(store: Path, kind: str) -> int:
    return len(list((store / "records" / kind).rglob("*.json")))
