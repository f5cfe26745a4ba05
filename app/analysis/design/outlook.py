"""What a study of this design can tell, for its report: expected widths, power, and what to add first.

The same simulation as before anything is spent, so that a reader can hold what came out against what was to be
expected. It takes some seconds, and depends on nothing but the design.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app.analysis.design.designs import ClusterBy, Design, Pretrained
from app.analysis.design.power import Power, simulate
from app.analysis.design.prospects import advice
from app.analysis.design.worlds import World
from app.analysis.estimation.grid import run_names
from app.analysis.vocabulary import LEVEL_NAMES
from app.identity import fingerprint

PROTOCOL = "2"
"""Of what is simulated and of the words; part of `identity`."""
_UNSTATED = 100  # items a task, where nobody said how many


class Width(NamedTuple):
    """One line: half-widths of the intervals of r and of the difference, and power; None: no interval."""

    name: str
    r: float | None
    difference: float | None
    power: float | None


class Outlook(NamedTuple):
    """A design, simulated."""

    short: str
    """In a sentence or two."""
    said: str
    """What was simulated."""
    levels: tuple[Width, ...]
    """The primary level first; empty where the design carries no interval."""
    growths: tuple[Width, ...]
    """At the primary level, with half as many again of something, rounded up; the best first."""
    warnings: tuple[str, ...]


def outlook(design: Design, experiments: int | None = None) -> Outlook:
    """Simulate a design; `experiments` left out: as many as `fewtune plan --power`."""
    found = simulate(design, experiments=experiments)
    advised = advice(found)
    primary = found.at("doubly_centred")
    first = f"{advised.first[0].upper()}{advised.first[1:]}."
    if found.refusal:
        short = first
    elif not design.rival:
        short = f"Studies of this design find r with an interval of ±{primary.half_width:.2f}. {first}"
    else:
        short = (
            f"Studies of this design find a difference of {primary.true_delta:+.2f} between the predictors with an "
            f"interval of ±{primary.delta_half_width:.2f}, away from 0 in {primary.power:.0%} of cases. {first}"
        )
    kind = {"family": "families", "base": "base models", "checkpoint": "checkpoints"}[design.cluster_by]
    said = (
        f"{found.experiments} simulated studies of {len(design.runs)} tuned models of {len(design.models)} base models "
        f"({int(design.clusters.max()) + 1} {kind} as clusters) on {design.tasks} tasks of {design.items} items. "
        "The simulated world is a guess: it compares designs, and promises no width."
    )
    levels = [] if found.refusal else [_width(LEVEL_NAMES[level], found, level) for level in LEVEL_NAMES]
    growths = [_width(option.said, option.power, "doubly_centred") for option in advised.options]
    kept = [growth for growth in growths if growth.r is not None]
    return Outlook(short, said, tuple(levels), tuple(kept), advised.warnings)


def identity(design: Design) -> str:
    """Hash of all that decides the outlook of a design."""
    return fingerprint([PROTOCOL, asdict(design), asdict(World())])


def realised(pairs: pa.Table, cluster_by: ClusterBy) -> Design | None:
    """The design of pairs that are there; None where there are none. Items: the median task's, 100 if unstated."""
    if not pairs.num_rows:
        return None
    base, family = pairs["base"].to_pylist(), pairs["family"].to_pylist()
    of_base = dict(zip(base, family, strict=True))
    names = sorted(set(family))
    runs: dict[str, set[str]] = {}
    for name, run in zip(base, run_names(pairs), strict=True):
        runs.setdefault(name, set()).add(run)
    made = [Pretrained(names.index(of_base[name]), 1, len(runs[name])) for name in sorted(runs)]
    stated = [n for n in pairs["n"].to_pylist() if n]
    items = int(np.median(stated)) if stated else _UNSTATED
    tasks, rival = len(set(pairs["task"].to_pylist())), pairs["z"].null_count < pairs.num_rows
    return Design(tuple(made), tasks, items, cluster_by, rival)


def as_json(found: Outlook) -> str:
    """The outlook as text that `from_json` reads."""
    return json.dumps(found._asdict(), indent=1)


def from_json(text: str) -> Outlook:
    """Raises ValueError, KeyError or TypeError where the text is none."""
    told = json.loads(text)
    lines = {name: tuple(Width(*line) for line in told[name]) for name in ("levels", "growths")}
    return Outlook(told["short"], told["said"], lines["levels"], lines["growths"], tuple(told["warnings"]))


def _width(name: str, found: Power, level: str) -> Width:
    row = next(one for one in found.levels if one.level == level)
    return Width(name, *_finite((row.half_width, row.delta_half_width, row.power)))


def _finite(values: Sequence[float]) -> list[float | None]:
    return [round(value, 4) if math.isfinite(value) else None for value in values]
