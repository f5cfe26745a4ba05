"""p-values for how many tests were made: Holm's, which keep every claim, and Benjamini and Hochberg's q.

A family of tests is one coefficient of one predictor over one kind of subset, because a reader picks the best of those:
all levels of all tasks, say, or one level over all single tasks. The primary rows, doubly centred Pearson's r of the
predictor over the pairs that the answer rests on, and its difference from the baseline, were named beforehand, and each
is a family by itself.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from scipy import stats

from app.analysis.estimation.coefficients import Floats
from app.analysis.vocabulary import INTACT_FILTER

Cells = dict[str, Any]
PRIMARY = "primary"
_KINDS = {"family!": "without one family", "family": "one family", "bases": "all pairs", "all": "all pairs"}


def adjusted(rows: Sequence[Cells], main: str, x: str) -> list[Cells]:
    """Rows of the table "correlations" with `tests`, `p_holm` and `q_value`.

    `main`: the filter of the answer; `x`: the predictor. A row without a p-value belongs to no family.
    """
    named = [row | {"tests": _family(row, main, x) if row["p_value"] is not None else ""} for row in rows]
    for family in dict.fromkeys(row["tests"] for row in named if row["tests"]):
        mine = [row for row in named if row["tests"] == family]
        p = np.array([cast(float, row["p_value"]) for row in mine])
        for key, values in (("p_holm", holm(p)), ("q_value", stats.false_discovery_control(p, method="bh"))):
            for row, value in zip(mine, values, strict=True):
                row[key] = float(value)
    return named


def holm(p: Floats) -> Floats:
    """The k-th smallest p times the tests not yet rejected, never below the one before (Holm 1979, jstor.org/4615733).

    As statsmodels has it, which collects garbage at each call: over hundreds of tests that takes seconds.
    """
    order = p.argsort(kind="stable")
    found = np.empty_like(p)
    found[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return found


def _family(row: Cells, main: str, x: str) -> str:
    declared = row["method"] == "pearson-delta" or (row["method"], row["x"]) == ("pearson", x)
    if declared and (row["level"], row["filter"]) == ("doubly_centred", main):
        return f"{PRIMARY}: {row['method']} of {row['x']}"
    kind = str(row["filter"]).removeprefix(f"{INTACT_FILTER},").partition("=")[0]
    return f"{row['method']} of {row['x']}, {_KINDS.get(kind, kind)}"
