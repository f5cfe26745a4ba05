"""`python -m jobs.bench [PART ...]`: figures, measured here and now, kept in docs/bench.md; no test asserts one.

Parts: scoring, generation, tuning, adapters, end-to-end, growth, peak (against what users have today, and as work
grows), gpu-tuning, gpu-scoring (on a machine with one), schedule, cluster, cells, memory, statistics, demo (how the
parts work together); left out: all of these. The path of a study file measures that study as demo does. `before
REVISION [STUDY]` compares a study, demo if left out, with the code of another revision. FEWTUNE_DATA_MIRROR names the
mirror for real data.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch

from app.errors import FewTuneError, InputError
from jobs.bench import (
    adapters,
    before,
    cells,
    cluster,
    document,
    end_to_end,
    generation,
    gpu,
    growth,
    memory,
    ninety,
    peak,
    schedule,
    scoring,
    study,
    tuning,
)
from jobs.bench.document import Options, Section

_ROOT = Path(__file__).parents[2]
_PARTS: Mapping[str, Callable[[Options], Section]] = {
    "scoring": scoring.part,
    "generation": generation.part,
    "tuning": tuning.part,
    "adapters": adapters.part,
    "end-to-end": end_to_end.part,
    "growth": growth.part,
    "peak": peak.part,
    "gpu-tuning": gpu.tuning_part,
    "gpu-scoring": gpu.scoring_part,
    "schedule": schedule.part,
    "cluster": cluster.part,
    "cells": cells.part,
    "memory": memory.part,
    "statistics": ninety.part,
    "demo": partial(study.part, _ROOT / "jobs" / "studies" / "demo.yaml"),
}


def main() -> int:
    """Measure the parts asked for; 1 where a gate did not pass."""
    asked = argparse.ArgumentParser(prog="python -m jobs.bench", description=__doc__)
    asked.add_argument("parts", nargs="*", help="left out: all")
    asked.add_argument("--out", type=Path, default=_ROOT / "docs", help="folder of bench.md and bench.json")
    for one in fields(Options):
        asked.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    told = asked.parse_args()
    if told.parts[:1] == ["before"] and len(told.parts) in (2, 3):
        revision, study_name = (*told.parts[1:], "demo")[:2]
        name, measure = f"before-{study_name}", partial(before.part, revision, study_name)
    elif len(told.parts) == 1:
        name, measure = _part(told.parts[0])
    else:
        return _apart(told.parts, told.out)
    options = Options(**{one.name: getattr(told, one.name) for one in fields(Options)})
    torch.set_num_threads(1)
    began = time.monotonic()
    section = measure(options)
    section.machine = document.machine() | {"took": f"{time.monotonic() - began:.0f} s"}
    section.command = _command(told.parts, options)
    document.keep(name, section, told.out, tuple(_PARTS))
    print("\n".join(section.lines()))
    return int(any(not gate.passed for _, gate in section.gates))


def _part(name: str) -> tuple[str, Callable[[Options], Section]]:
    """What measures a part, or a study file. Raises InputError where it is neither."""
    if name in _PARTS:
        return name, _PARTS[name]
    if not Path(name).is_file():
        raise InputError(f"{name} is neither a part of the bench ({', '.join(_PARTS)}) nor a study file")
    return Path(name).stem, partial(study.part, Path(name))


def _apart(parts: Sequence[str], out: Path) -> int:
    """Each part in a process of its own: none finds memory, threads or libraries as another left them."""
    flags = [one for one in sys.argv[1:] if one not in parts]
    parts = parts or list(_PARTS)
    for name in parts:
        _part(name)
    if not torch.cuda.is_available():
        for name in [part for part in parts if part.startswith("gpu-")]:
            parts = [part for part in parts if part != name]
            if not document.kept(out).get(name):
                document.keep(name, gpu.absent(name), out, tuple(_PARTS))
    codes = [
        subprocess.run([sys.executable, "-m", "jobs.bench", part, *flags], check=False).returncode  # noqa: S603
        for part in parts
    ]
    return int(any(codes))  # one that a signal ended counts too, whose code is negative


def _command(parts: Sequence[str], options: Options) -> str:
    """What measures this part again."""
    changed = [(one.name, getattr(options, one.name)) for one in fields(Options)]
    flags = [f"--{name} {value}" for name, value in changed if value != getattr(Options(), name)]
    shown = [
        part if part in (*_PARTS, "before") or not Path(part).is_file() else os.path.relpath(part, _ROOT)
        for part in parts
    ]
    return " ".join(["python -m jobs.bench", *shown, *flags])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FewTuneError as fault:
        print(fault, file=sys.stderr)
        sys.exit(fault.exit_code)
