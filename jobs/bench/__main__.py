"""`python -m jobs.bench [PART ...]`: figures, measured here and now, kept in docs/bench.md; no test asserts one.

Parts: scoring, generation, tuning, adapters, end-to-end, growth, peak (against what users have today, and as work
grows), schedule, cluster, cells, memory, or the path of a study file; left out: all of them, and the demo study.
FEWTUNE_DATA_MIRROR names the mirror for studies on real data.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import torch
from rich.console import Console

from app.errors import FewTuneError
from jobs.bench import (
    adapters,
    cells,
    cluster,
    document,
    end_to_end,
    generation,
    growth,
    peak,
    schedule,
    scoring,
    study,
    tuning,
)
from jobs.bench.document import Options, Section

_ROOT = Path(__file__).parents[2]
_DEMO = _ROOT / "jobs" / "studies" / "demo.yaml"
_COMPARED: Mapping[str, Callable[[Options], Section]] = {
    "scoring": scoring.part,
    "generation": generation.part,
    "tuning": tuning.part,
    "adapters": adapters.part,
    "end-to-end": end_to_end.part,
    "growth": growth.part,
    "peak": peak.part,
}
_TOLD: Mapping[str, tuple[str, Callable[[Console], None]]] = {
    "schedule": ("Schedule against its lower bound", schedule.schedule),
    "cluster": ("A cluster that grows and shrinks", cluster.cluster),
    "cells": ("What a cell costs beside its work", cells.cells),
    "memory": ("Memory of the driver", study.memory),
}


def _measure(part: str, options: Options) -> Section:
    if part in _COMPARED:
        return _COMPARED[part](options)
    title, tell = _TOLD.get(part) or (f"The study {Path(part).stem}", lambda c: study.study(Path(part), c))
    recording = Console(highlight=False, soft_wrap=True, record=True)
    tell(recording)
    notes = [line.strip() for line in recording.export_text().splitlines() if line.strip()]
    return Section(title, "As told by the run, in seconds on the clock of a machine that may be shared.", notes=notes)


def main() -> int:
    """Measure the parts asked for; 1 where a gate did not pass."""
    asked = argparse.ArgumentParser(prog="python -m jobs.bench", description=__doc__)
    asked.add_argument("parts", nargs="*", help="left out: all")
    asked.add_argument("--out", type=Path, default=_ROOT / "docs", help="folder of bench.md and bench.json")
    asked.add_argument("--date", default="", help="stated in the document")
    for one in fields(Options):
        asked.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    told = asked.parse_args()
    parts = told.parts or [*_COMPARED, *_TOLD, str(_DEMO)]
    if len(parts) > 1:
        return _apart(parts)
    options = Options(**{one.name: getattr(told, one.name) for one in fields(Options)})
    torch.set_num_threads(1)
    (part,) = parts
    section = _measure(part, options)
    name = part if part in {**_COMPARED, **_TOLD} else Path(part).stem
    document.keep(name, section, _command(part, options), told.date, told.out)
    if part in _COMPARED:
        Console(highlight=False, soft_wrap=True).print("\n".join(section.lines()), markup=False)
    return int(any(not gate.passed for _, gate in section.gates))


def _apart(parts: Sequence[str]) -> int:
    """Each part in a process of its own: none finds memory, threads or libraries as another left them."""
    flags = [one for one in sys.argv[1:] if one not in parts]
    codes = [
        subprocess.run([sys.executable, "-m", "jobs.bench", part, *flags], check=False).returncode  # noqa: S603
        for part in parts
    ]
    return max(codes)


def _command(part: str, options: Options) -> str:
    """What measures this part again."""
    changed = [(one.name, getattr(options, one.name)) for one in fields(Options)]
    flags = [f"--{name} {value}" for name, value in changed if value != getattr(Options(), name)]
    shown = part if part in {**_COMPARED, **_TOLD} else os.path.relpath(part, _ROOT)
    return " ".join(["python -m jobs.bench", shown, *flags])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FewTuneError as fault:
        print(fault, file=sys.stderr)
        sys.exit(fault.exit_code)
