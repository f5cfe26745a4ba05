"""Scores to pairs: the same test items, answered by a base model and by the same model after tuning.

Scores are corrected for chance, s = (p - c) / (1 - c), because tasks with few options are easy for everyone: raw
scores correlate for that reason alone. Corrected scores may be negative; they are never clipped. Demonstrations are
drawn with several seeds; a pair takes their mean.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from app import tables
from app.errors import StoreError
from app.study import Analysis

Key = tuple[str, str | None, str]
"""Base, run (None: a condition of the base itself), task."""


_ERRORS = 2.0  # standard errors
_SAME_CHANCE = 1e-9
DIRECT = ("tuned-direct", "samplegen-direct")
"""A tuned model without demonstrations, prompted in the format that it was tuned on."""


class Missing(NamedTuple):
    """A pair that could not be made, and why."""

    base: str
    run: str | None
    task: str
    reason: str


class Pairs(NamedTuple):
    """`table` has the columns of "pairs"; `missing` lists what the full grid of runs x tasks lacks."""

    table: pa.Table
    missing: list[Missing]


class _Side(NamedTuple):
    """One condition on one task, averaged over the seeds of its demonstrations."""

    value: float
    stderr: float
    chance: float
    high: float
    n: int
    seeds: int
    cut: int
    """Prompts that lost their beginning, the most over the seeds."""
    first: Mapping[str, object]

    @property
    def at_floor(self) -> bool:
        """Whether it cannot be told from guessing."""
        return self.value - self.chance <= _ERRORS * self.stderr

    @property
    def at_ceiling(self) -> bool:
        """Whether it cannot be told from the metric's best."""
        return self.high - self.value <= _ERRORS * self.stderr


def pairs(scores: pa.Table, analysis: Analysis) -> Pairs:
    """One row for each run and task whose two sides were scored on the same items.

    x is `analysis.x` (few-shot: at `analysis.shots` demonstrations, or the largest count), y is `analysis.y`, z the
    baseline. The standard error of a mean over seeds is the mean of theirs: the seeds share their items.

    Raises StoreError for a table of two studies, for two rows of one score and for a metric that no row has.
    """
    rows = _of_metric(_of_wording(tables.checked("scores", scores), analysis.wording), analysis.metric)
    shots = _shots(rows, analysis)
    sides = {
        name: _side(rows, condition, shots)
        for name, condition in (("x", analysis.x), ("y", analysis.y), ("z", analysis.baseline))
        if condition is not None
    }
    seeds = {name: max((one.seeds for one in side.values()), default=1) for name, side in sides.items()}
    made: list[dict[str, object]] = []
    missing: list[Missing] = []
    for key in _grid(rows, sides):
        found = {name: side.get(_key(key, _condition(name, analysis))) for name, side in sides.items()}
        x, y = found["x"], found["y"]
        reason = _unpaired(x, y, seeds)
        if x is None or y is None or reason:
            missing.append(Missing(*key, reason))
        else:
            z = found.get("z")
            made.append(_row(x, y, z if z and _comparable(x, z, seeds["z"]) else None, analysis))
    return Pairs(tables.build("pairs", made), missing)


def without(found: Pairs, missing: Iterable[Missing]) -> Pairs:
    """The pairs less those named in `missing`, which come to be listed among the missing ones.

    `pairs` compares numbers of items; that the items are the same ones is seen from responses (`items.mismatched`).
    """
    gone = {(one.base, one.run, one.task): one for one in missing}
    names = ("base", "run", "task")
    keys = [(str(row["base"]), row["run"], str(row["task"])) for row in found.table.select(names).to_pylist()]
    kept = pa.array([key not in gone for key in keys], pa.bool_())
    return Pairs(found.table.filter(kept), [*found.missing, *(gone[key] for key in keys if key in gone)])


def without_baselines(found: Pairs, other: Iterable[Missing]) -> Pairs:
    """The pairs, of which those named in `other` have no baseline: it was scored on other items than they."""
    gone = {(one.base, one.run, one.task) for one in other}
    if not gone:
        return found
    rows = found.table.to_pylist()
    for row in rows:
        if (row["base"], row["run"], row["task"]) in gone:
            row |= {"z": None, "z_raw": None, "z_stderr": None}
            row |= {name: row[name].replace("z", "") for name in ("floor", "ceiling")}
    return Pairs(tables.build("pairs", rows), found.missing)


def answered_by(run: str | None, condition: str) -> str | None:
    """Whose scores a pair of `run` takes under a condition: the run's, or its base model's own (None)."""
    return None if condition.startswith(("base-", "gold-")) else run


def chance_corrected(value: float, chance: float, high: float = 1.0) -> float:
    """(value - chance) / (high - chance): 0 at chance, 1 at the metric's best (`high`), negative below chance."""
    return (value - chance) / (high - chance)


def _of_wording(scores: pa.Table, wording: str | None) -> pa.Table:
    """The rows of one wording; None: the first that the table has."""
    first = wording or (scores["wording"][0].as_py() if scores.num_rows else "")
    return scores.filter(pc.field("wording") == first)


def _of_metric(scores: pa.Table, metric: str) -> list[dict[str, object]]:
    studies = scores["study"].unique().to_pylist()
    if len(studies) > 1:
        raise StoreError(f"the scores are of several studies ({', '.join(studies)}): analyse one at a time")
    wanted = pc.field("primary") if metric == "primary" else pc.field("metric") == metric
    rows = scores.filter(wanted).to_pylist()
    if scores.num_rows and not rows:
        known = ", ".join(sorted(scores["metric"].unique().to_pylist()))
        raise StoreError(f"no score has the metric {metric}: set analysis.metric to primary or one of {known}")
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        key = tuple(row[name] for name in ("base", "run", "condition", "shots", "shot_seed", "task"))
        if key in seen:
            place = ", ".join(f"{name} {part}" for name, part in zip(("base", "run", "condition"), key, strict=False))
            raise StoreError(
                f"the scores have two rows for {place}, task {row['task']} (shots {row['shots']}, "
                f"seed {row['shot_seed']}): keep one, for example by evaluating into a new store"
            )
        seen.add(key)
    return rows


def _shots(rows: Iterable[Mapping[str, object]], analysis: Analysis) -> int:
    """Demonstrations of the few-shot conditions compared; 0 where the study compares none."""
    if analysis.shots is not None:
        return analysis.shots
    few_shot = [c for c in (analysis.x, analysis.y, analysis.baseline) if c and c.endswith("few-shot")]
    return max((_int(row["shots"]) for row in rows if row["condition"] in few_shot), default=0)


def _side(rows: Iterable[Mapping[str, object]], condition: str, shots: int) -> dict[Key, _Side]:
    groups: dict[Key, list[Mapping[str, object]]] = {}
    wanted = DIRECT if condition == "direct" else (condition,)
    for row in rows:
        if row["condition"] not in wanted or (condition.endswith("few-shot") and row["shots"] != shots):
            continue
        run = None if row["run"] is None else str(row["run"])
        groups.setdefault((str(row["base"]), run, str(row["task"])), []).append(row)
    return {key: _mean(group) for key, group in groups.items()}


def _mean(group: list[Mapping[str, object]]) -> _Side:
    def mean(name: str) -> float:
        return math.fsum(_float(row[name]) for row in group) / len(group)

    smallest = min(_int(row["n"]) for row in group)
    cut = max(_int(row["cut_prompts"]) for row in group)
    return _Side(mean("value"), mean("stderr"), mean("chance"), mean("high"), smallest, len(group), cut, group[0])


def _grid(rows: Iterable[Mapping[str, object]], sides: Mapping[str, Mapping[Key, _Side]]) -> list[Key]:
    """Every run of every base x every task; a base without a run stands for the runs that it should have."""
    tasks = sorted({str(row["task"]) for row in rows})
    keys = [*sides["x"], *sides["y"]]
    runs = {(base, run) for base, run, _ in keys if run is not None}
    tuned = {base for base, _ in runs}
    runs |= {(base, None) for base, _, _ in keys if base not in tuned}
    return [(base, run, task) for base, run in sorted(runs, key=lambda r: (r[0], r[1] or "")) for task in tasks]


def _condition(name: str, analysis: Analysis) -> str:
    return str({"x": analysis.x, "y": analysis.y, "z": analysis.baseline}[name])


def _key(key: Key, condition: str) -> Key:
    base, run, task = key
    return (base, answered_by(run, condition), task)


def _unpaired(x: _Side | None, y: _Side | None, seeds: Mapping[str, int]) -> str:
    """Why these two sides are no pair; empty if they are one. `seeds`: of demonstrations, the most of each side."""
    absent = [name for name, side in (("x", x), ("y", y)) if side is None]
    if x is None or y is None:
        return f"{' and '.join(absent)} not scored"
    for name, side in (("x", x), ("y", y)):
        if not math.isfinite(side.value):
            return f"{name} is not a number"
        if side.seeds < seeds[name]:
            return f"{name} has {side.seeds} of {seeds[name]} demonstration seeds"
    if not _as_many(x, y):
        return f"x was scored on {x.n} items, y on {y.n}"
    if abs(x.chance - y.chance) > _SAME_CHANCE:
        return f"x has chance level {x.chance:.3f}, y {y.chance:.3f}"
    if not math.isfinite(x.high):
        return f"{x.first['metric']} has no best value, so it cannot be corrected for chance"
    return "" if x.chance < x.high else "chance is the best value: every answer is right"


def _comparable(x: _Side, z: _Side, seeds: int) -> bool:
    """Whether the baseline may stand beside x in a difference."""
    return math.isfinite(z.value) and z.seeds >= seeds and _as_many(x, z) and abs(x.chance - z.chance) <= _SAME_CHANCE


def _as_many(a: _Side, b: _Side) -> bool:
    """Whether two sides rest on as many items; 0, which is not stated, goes with any number."""
    return a.n == b.n or 0 in (a.n, b.n)


def _row(x: _Side, y: _Side, z: _Side | None, analysis: Analysis) -> dict[str, object]:
    names = ("study", "base", "family", "params", "run", "recipe", "format", "seed", "task", "cluster", "role")
    tuned = x if y.first["run"] is None else y
    more = ("mixture", "pretrained_on", "tuned_on", "metric")
    taken: dict[str, object] = {name: tuned.first[name] for name in (*names, *more)}
    for name, side in (("x", x), ("y", y), ("z", z)):
        taken[name] = None if side is None else chance_corrected(side.value, side.chance, side.high)
        taken[f"{name}_raw"] = None if side is None else side.value
        taken[f"{name}_stderr"] = None if side is None else side.stderr
    return taken | {
        "chance": x.chance,
        "n": x.n or y.n,
        "x_condition": analysis.x,
        "y_condition": y.first["condition"],
        "wording": x.first["wording"],
        "x_shots": x.first["shots"],
        "floor": "".join(name for name, side in (("x", x), ("y", y), ("z", z)) if side and side.at_floor),
        "ceiling": "".join(name for name, side in (("x", x), ("y", y), ("z", z)) if side and side.at_ceiling),
        "x_cut": x.cut,
        "y_cut": y.cut,
    }


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _int(value: object) -> int:
    return int(value) if isinstance(value, int) else 0
