"""Scores that others measured, as rows of the table "scores", so that all statistics and the report apply to them.

What nobody stated stays unknown: 0 for a number of items, demonstrations or parameters, NaN for a standard error. A
score outside its range is refused, because a percentage or a mark for "not computed" would silently distort every
correlation.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from app import tables
from app.analysis.pairing.audits import Evaluated
from app.analysis.reporting.facts import ItemView
from app.errors import InputError
from app.study import Analysis

UNKNOWN = "not stated"
ROLES = ("tune", "develop", "evaluate")
X, Y, Z = "base-few-shot", "tuned-direct", "base-zero-shot"


class Given(NamedTuple):
    """One score; `run` is None for a base model itself, `place` says where it stands for messages."""

    base: str
    run: str | None
    condition: str
    task: str
    value: float
    place: str
    metric: str = "score"
    primary: bool = True
    chance: float = 0.0
    high: float = 1.0
    n: int = 0
    stderr: float = math.nan
    shots: int = 0
    shot_seed: int = 0
    family: str = ""
    params: int = 0
    cluster: str = UNKNOWN
    role: str = "evaluate"
    recipe: str = "tuned"
    pretrained_on: bool | None = None
    tuned_on: bool | None = None


class Own(NamedTuple):
    """`scores` has the columns of that table; `warnings` are sentences on what they cannot say."""

    scores: pa.Table
    analysis: Analysis
    warnings: tuple[str, ...]
    items: pa.Table | None = None
    """The table "items", where per-item results were given."""
    views: tuple[ItemView, ...] = ()
    """Items for the explorer, where prompts and answers were given."""
    computed: Mapping[Evaluated, Mapping[str, str]] = {}
    """How each score was computed, where that was given."""


def scores(study: str, given: Iterable[Given], origin: str) -> pa.Table:
    """The table "scores" of what was given; `origin` fingerprints the files. Raises InputError for a value amiss."""
    rows: list[dict[str, object]] = []
    for one in given:
        checked(one)
        rows.append({"study": study, "fingerprint": origin} | _row(one))
    return tables.build("scores", rows)


def checked(one: Given) -> None:
    """Raise InputError where a score, its chance level, best value, items or standard error cannot be what it says."""
    if not (math.isfinite(one.high) and one.high > 0):
        raise InputError(f"{one.place}: the best value of {one.metric} is {one.high:g}, wanted a number above 0")
    if not 0 <= one.chance < one.high:
        raise InputError(
            f"{one.place}: the chance level {one.chance:g} is not from 0 to below the best value {one.high:g}: "
            "give it on the scale of the scores"
        )
    if one.value > one.high:
        raise InputError(
            f"{one.place}: the score {one.value:g} is above the best value {one.high:g}: "
            "divide percentages by 100, or state the best value in a column high"
        )
    if one.value < -one.high:
        raise InputError(
            f"{one.place}: the score {one.value:g} is below {-one.high:g}: leave a score that was not computed empty"
        )
    if one.n < 0 or one.stderr < 0:
        raise InputError(f"{one.place}: items and standard errors cannot be negative")


def binomial(value: float, n: int, high: float = 1.0) -> float:
    """Standard error of a mean of `n` right or wrong answers; an upper bound for any score from 0 to `high`."""
    p = value / high
    return high * math.sqrt(p * (1 - p) / (n - 1)) if n > 1 and 0 <= p <= 1 else math.nan


def settings(given: Iterable[Given], *, families: bool, y: str = Y) -> Analysis:
    """How given scores are correlated: by families where they are stated, else by base models."""
    rival = any(one.condition == Z for one in given)
    return Analysis.model_validate(
        {"x": X, "y": y, "baseline": Z if rival else None, "cluster_by": "family" if families else "base"}
    )


def _row(one: Given) -> dict[str, object]:
    tuned = one.run is not None
    stderr = one.stderr if math.isfinite(one.stderr) else binomial(one.value, one.n, one.high)
    return {
        "base": one.base,
        "family": one.family or one.base,
        "params": one.params,
        "run": one.run,
        "recipe": one.recipe if tuned else None,
        "format": "regular" if tuned else None,
        "mixture": None,
        "seed": None,
        "condition": one.condition,
        "wording": UNKNOWN,
        "shots": one.shots,
        "shot_seed": one.shot_seed,
        "task": one.task,
        "cluster": one.cluster,
        "role": one.role,
        "pretrained_on": one.pretrained_on,
        "tuned_on": one.tuned_on if tuned else None,
        "metric": one.metric,
        "primary": one.primary,
        "value": one.value,
        "chance": one.chance,
        "low": 0.0 if one.value >= 0 else -one.high,
        "high": one.high,
        "n": one.n,
        "stderr": stderr,
        "extraction_failures": None,
        "format_failures": None,
        "cut_prompts": 0,
    }
