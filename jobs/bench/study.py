"""What a study takes, from the command line into a fresh store: how near to all cores at work from begin to end."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from app.store import Store
from app.study import load
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.spending import Spent, how, spend

MAKESPAN = 1.15
"""Seconds over CPU seconds by cores: at most."""
_ABOUT = """`fewtune run` in a fresh store, its whole tree of processes counted. The makespan is seconds on the clock
from the command to its end, over the CPU seconds of everything that ran for it divided by this machine's cores: 1 means
that no core ever waited. Cells begin and end as their records say."""


def part(path: Path, options: Options) -> Section:
    """The section of `python -m jobs.bench demo`, or of another study file."""
    file, cores = load(path), os.cpu_count() or 1
    section = Section(f"The study {file.study.name}", _ABOUT)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        folder = Path(root)
        command = [sys.executable, "-m", "app.cli.main", "run", str(path.resolve()), "--store", "store"]
        spent = spend(command, folder)
        store = Store(folder / "store")
        section.tables = [_phases(spent, store, cores), _kinds(store)]
        section.notes += _scores(store)
    ratio = spent.wall / (spent.cpu / cores)
    what = f"makespan of the study {file.study.name}, over CPU seconds by cores"
    section.targets.append(Target(what, ratio, MAKESPAN, at_most=True))
    section.figures = {"makespan": ratio, "seconds": spent.wall, "CPU seconds": spent.cpu, "others": spent.others}
    section.notes[:0] = [
        f"{spent.wall:.0f} s on {cores} cores, {spent.cpu:.0f} CPU seconds: {ratio:.2f} x. {how(spent)}",
        f"Others took {spent.others:.0f} CPU seconds of this machine meanwhile. Had the study waited for all of them, "
        f"the makespan without them would be {max(1.0, _alone(spent, cores)):.2f} x; the truth lies between.",
    ]
    return section


def spans(store: Store) -> dict[str, tuple[float, float]]:
    """When each finished cell of a local store began its work and ended it, on the clock of `time.time`."""
    found: dict[str, tuple[float, float]] = {}
    for slug, record in store.records().items():
        ended = ((store.local or Path()) / "records" / f"{slug}.json").stat().st_mtime
        found[slug] = ended - record.seconds, ended
    return found


def _alone(spent: Spent, cores: int) -> float:
    return (spent.wall - spent.others / cores) / (spent.cpu / cores)


def _phases(spent: Spent, store: Store, cores: int) -> Table:
    """Where the seconds go."""
    times = spans(store).values()
    began, first, last = spent.course[0][0], min(one for one, _ in times), max(one for _, one in times)
    moments = {"before the first cell begins": began, "cells": first, "after the last cell": last}
    table = Table(("phase", "seconds", "CPU seconds", f"cores at work, of {cores}"))
    for (name, since), until in zip(moments.items(), [*list(moments.values())[1:], began + spent.wall], strict=True):
        cpu = (spent.cpu if name.startswith("after") else spent.at(until)) - spent.at(since)
        seconds = max(until - since, 1e-9)
        table.rows.append((name, f"{seconds:.1f}", f"{cpu:.1f}", f"{cpu / seconds:.2f}"))
    return table


def _kinds(store: Store) -> Table:
    records = store.records().values()
    table = Table(("cells", "how many", "seconds of one worker"))
    for kind in dict.fromkeys(record.kind for record in records):
        seconds = [record.seconds for record in records if record.kind == kind]
        table.rows.append((kind, f"{len(seconds)}", f"{sum(seconds):.0f}"))
    return table


def _scores(store: Store) -> Sequence[str]:
    """How far few-shot exceeds zero-shot on the base models, and what tuning adds."""
    scores = store.read_table("scores", "tables/scores.parquet")
    exact = scores.filter(pc.field("metric") == "exact_match")
    means = exact.group_by(["base", "params", "condition"]).aggregate([("value", "mean")]).to_pylist()
    by_base: dict[tuple[int, str], list[str]] = {}
    for row in sorted(means, key=lambda row: str(row["condition"])):
        by_base.setdefault((row["params"], row["base"]), []).append(f"{row['condition']} {row['value_mean']:.3f}")
    return [
        f"{base} ({params:,} parameters), exact match: {', '.join(told)}."
        for (params, base), told in sorted(by_base.items())
    ]
