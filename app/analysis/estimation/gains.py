"""Which items only tuned models solve, and what these items share.

The base rate is how often a tuned model solves what its base model, given demonstrations, gets wrong under every seed.
Groups are tasks, and thirds of each pair's items by prompt length and by the base model's margin: within pairs, so that
neither an easy task with long prompts nor a tokenizer that cuts finely is told twice.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app import tables
from app.analysis.estimation.agreement import codes, pairs_of
from app.analysis.estimation.coefficients import Floats

_THIRDS = {
    "prompt length": ("prompt_tokens", ("shortest third", "middle third", "longest third")),
    "margin of the base model": ("x_margin", ("lowest third", "middle third", "highest third")),
}


class Gained(NamedTuple):
    """One group of items; an answer is one item of one pair."""

    by: str
    """all, task, prompt length or margin of the base model."""
    group: str
    wrong_before: int
    """Answers that the base model got wrong under every seed of demonstrations."""
    gained: int
    """Those of them that the tuned model got right."""
    share: float | None
    """gained / wrong_before; None where the base model was never wrong."""
    of_base_rate: float | None
    """share divided by the share over all items; None where that is 0."""
    only_tuned: int
    """Items that no base model solved with demonstrations and at least one tuned model did."""


def gained(items: pa.Table) -> list[Gained]:
    """All items, then each task, then thirds by prompt length and by margin; empty for a table without items.

    Pairs on which length or margin does not vary take no part in its thirds.
    """
    tables.checked("items", items)
    if not items.num_rows:
        return []
    x, y = (np.asarray(pc.fill_null(items[name], np.nan), np.float64) for name in "xy")
    judged = np.isfinite(x) & np.isfinite(y)
    wrong, right = judged & (x == 0), (x == 0) & (y == 1)
    task = codes(items["task"])
    pair, _ = pairs_of(items)
    item = _of_two(task, codes(items["item"]))
    solved_before = np.zeros(int(item.max()) + 1, np.bool_)
    solved_before[item[x > 0]] = True
    only = right & ~solved_before[item]
    overall = right.sum() / wrong.sum() if wrong.any() else 0.0
    made: list[Gained] = []
    for by, group, mask in _groups(items, task, pair, judged):
        before, after = int((wrong & mask).sum()), int((right & mask).sum())
        share = after / before if before else None
        rate = share / float(overall) if share is not None and overall else None
        made.append(Gained(by, group, before, after, share, rate, len(np.unique(item[only & mask]))))
    return made


def _groups(
    items: pa.Table, task: NDArray[np.int64], pair: NDArray[np.int64], judged: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    yield "all", "all items", judged
    names = items["task"].unique().to_pylist()
    for code in sorted(range(len(names)), key=lambda at: names[at]):
        yield "task", names[code], judged & (task == code)
    for by, (column, labels) in _THIRDS.items():
        values = np.asarray(pc.fill_null(pc.cast(items[column], pa.float64()), np.nan), np.float64)
        third = _thirds(values, pair)
        for number, label in enumerate(labels):
            if (third >= 0).any():
                yield by, label, judged & (third == number)


def _thirds(values: Floats, pair: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1 or 2 by the terciles of the row's pair; -1 where the value is NaN or the pair's do not vary."""
    found = np.full(len(values), -1)
    order = pair.argsort(kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(pair[order])) + 1):
        mine = rows[np.isfinite(values[rows])]
        if len(mine) and np.ptp(values[mine]) > 0:
            found[mine] = np.searchsorted(np.quantile(values[mine], [1 / 3, 2 / 3]), values[mine])
    return found


def _of_two(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number from 0 for each pair of codes."""
    return np.unique(a * (int(b.max()) + 1) + b, return_inverse=True)[1]
