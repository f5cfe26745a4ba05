"""Responses to items: which test items each side of each pair answered right, joined by item id.

Only metrics that are right or wrong on every item have such a table: accuracy, which is the likeliest option, and
exact match, which is the answer extracted from a text. All others (F1, edit distance, BERTScore, normalised
likelihoods, whose choices are not stored) are named in `left_out`. Several seeds of demonstrations count as shares: x
is the mean over them, and `first` keeps the first seed's answers for statistics of single answers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app import tables
from app.analysis.pairing.pairs import Missing, answered_by
from app.study import Analysis

RIGHT: Mapping[str, str] = {"accuracy": "choice_correct", "exact_match": "prediction_correct"}
"""Metric -> the column of "responses" that says whether an item was answered right."""
FIRST = pa.schema([pa.field("x", pa.bool_()), pa.field("y", pa.bool_())])
_Floats = NDArray[np.float64]
_TAKEN = ("study", "base", "family", "params", "run", "recipe", "format", "seed", "task", "cluster", "role", "metric")


class Asked(NamedTuple):
    """The responses of one model under one condition on one task: one table for each seed of demonstrations."""

    base: str
    run: str | None
    """None: the base model's own."""
    task: str
    condition: str
    wording: str
    shots: int | None
    """Demonstrations of a few-shot condition; None: the largest count of the study, or no few-shot condition."""
    columns: tuple[str, ...]
    """Columns of "responses" that are needed; others may be there."""


Responses = Callable[[Asked], Sequence[pa.Table]]
"""Tables by seed of demonstrations, the first seed first; none where nothing can be read."""


class LeftOut(NamedTuple):
    """Pairs of one task that have no items in the table, and why."""

    task: str
    metric: str
    pairs: int
    reason: str


class Items(NamedTuple):
    """`table` has the columns of "items", sorted as the pairs are."""

    table: pa.Table
    first: pa.Table
    """Columns x and y, null or bool: the answers of the first seed, row by row of `table`."""
    mismatched: list[Missing]
    """Pairs whose sides hold different items: no pairs at all, see `pairs.without`."""
    other_baselines: list[Missing]
    """Pairs whose baseline holds other items than they: pairs without one, see `pairs.without_baselines`."""
    left_out: list[LeftOut]


class _Side(NamedTuple):
    """One side on one task: arrays over its items, in the order of `items`."""

    items: pa.Array
    right: _Floats
    """Share of seeds with a right answer; NaN where one was not judged."""
    first: _Floats
    margin: _Floats
    prompt_tokens: NDArray[np.int64]
    options: NDArray[np.int64]


class _Joined(NamedTuple):
    """What became of one pair: rows of x, y, z and so on, or a reason."""

    columns: dict[str, pa.Array]
    mismatch: str = ""
    left_out: str = ""
    other_baseline: str = ""


def items(pairs: pa.Table, analysis: Analysis, responses: Responses, pool: Executor | None = None) -> Items:
    """One row for each item of each pair whose metric is right or wrong on every item.

    `responses` is asked once for each side of a base model and task, and once for each tuned model and task; with a
    `pool` of threads it is called from several at once. The order of the result does not depend on that.
    """
    tables.checked("pairs", pairs)
    rows = pairs.select(["base", "run", "task", "metric", "x_condition", "y_condition", "wording", "x_shots"])
    groups: dict[tuple[object, object], list[int]] = {}
    listed = rows.to_pylist()
    for at, row in enumerate(listed):
        groups.setdefault((row["base"], row["task"]), []).append(at)

    def join(places: list[int]) -> list[_Joined]:
        return _group([listed[at] for at in places], analysis, responses)

    found = pool.map(join, groups.values()) if pool else map(join, groups.values())
    joined: dict[int, _Joined] = {}
    for places, parts in zip(groups.values(), found, strict=True):
        joined |= dict(zip(places, parts, strict=True))
    parts = [joined[at] for at in range(len(listed))]

    def named(reasons: Iterable[str]) -> list[Missing]:
        told = zip(listed, reasons, strict=True)
        return [Missing(row["base"], row["run"], row["task"], reason) for row, reason in told if reason]

    mismatched = named(part.mismatch for part in parts)
    other_baselines = named(part.other_baseline for part in parts)
    return Items(*_tables(pairs, parts), mismatched, other_baselines, _left_out(listed, parts))


def mismatched(found: Items) -> list[str]:
    """One sentence for each pair whose sides, or whose baseline, hold different items."""
    said = "{} on the task {}: {}; evaluate {} on the same items".format
    return [
        *(said(one.run or one.base, one.task, one.reason, "both sides") for one in found.mismatched),
        *(said(one.run or one.base, one.task, one.reason, "the baseline") for one in found.other_baselines),
    ]


def _group(rows: Sequence[Mapping[str, object]], analysis: Analysis, responses: Responses) -> list[_Joined]:
    """The pairs of one base model on one task; the base model's own sides are read once for all of them."""
    kept: dict[Asked, _Side | str] = {}

    def side(row: Mapping[str, object], name: str, condition: str) -> _Side | str:
        wanted = asked(row, name, condition, analysis)
        if wanted not in kept:
            kept[wanted] = _read(responses(wanted), wanted.columns)
        return kept[wanted]

    made: list[_Joined] = []
    for row in rows:
        x, y = side(row, "x", str(row["x_condition"])), side(row, "y", str(row["y_condition"]))
        if isinstance(x, str) or isinstance(y, str):
            told = [f"{name} {one}" for name, one in (("x", x), ("y", y)) if isinstance(one, str)]
            unread = any(one == _UNREAD for one in (x, y))
            reason = "; ".join(told)
            made.append(_Joined({}, left_out=reason) if unread else _Joined({}, mismatch=reason))
            continue
        z = side(row, "z", analysis.baseline) if analysis.baseline else _UNREAD
        made.append(_join(str(row["metric"]), x, y, z))
    return made


def asked(row: Mapping[str, object], name: str, condition: str, analysis: Analysis) -> Asked:
    """The responses of one side (x, y or z) of a row of "pairs"."""
    run = cast(str | None, row["run"])
    shots = cast(int, row["x_shots"]) if str(row["x_condition"]).endswith("few-shot") else analysis.shots
    right = RIGHT.get(str(row["metric"]))
    columns = {
        "x": ("item", right, "options", "logprobs", "target", "choice_correct"),
        "y": ("item", right, "prompt_tokens"),
        "z": ("item", right),
    }
    return Asked(
        str(row["base"]),
        answered_by(run, condition),
        str(row["task"]),
        condition,
        str(row["wording"]),
        shots if condition.endswith("few-shot") else None,
        tuple(dict.fromkeys(column for column in columns[name] if column)) if right else ("item",),
    )


_UNREAD = "has no responses"


def _read(seeds: Sequence[pa.Table], columns: Sequence[str]) -> _Side | str:
    """All seeds of one side as one; a reason where there is none, or where the seeds hold different items."""
    if not seeds:
        return _UNREAD
    whole = [seed.select(list(columns)).combine_chunks() for seed in seeds]
    items_ = _column(whole[0], "item")
    if len(items_.unique()) != len(items_):
        return "answered an item twice"
    for at, table in enumerate(whole[1:], 1):
        order = _order(items_, _column(table, "item"))
        if order is None:
            return "has other items for some seed of its demonstrations"
        whole[at] = table.take(order)
    right = [name for name in columns if name in RIGHT.values()]
    nothing = [np.full(len(items_), np.nan)]
    judged = [_numbers(table[right[0]]) for table in whole] if right else nothing
    margins = [margin(table) for table in whole] if "logprobs" in columns else nothing
    zeros = np.zeros(len(items_), np.int64)
    tokens = np.asarray(whole[0]["prompt_tokens"], np.int64) if "prompt_tokens" in columns else zeros
    options = _lengths(whole[0], "options") if "options" in columns else zeros
    return _Side(items_, np.mean(judged, 0), judged[0], np.mean(margins, 0), tokens, options)


def _order(wanted: pa.Array, found: pa.Array) -> pa.Array | None:
    """Where each wanted item stands in `found`; None where the two are not the same set."""
    if wanted.equals(found):
        return pa.array(np.arange(len(wanted)))
    places = _places(wanted, found)
    return None if len(wanted) != len(found) or places.null_count or len(found.unique()) < len(found) else places


def _places(wanted: pa.Array, found: pa.Array) -> pa.Array:
    """The index in `found` of each wanted item, null where it is absent."""
    return pc.call_function("index_in", [wanted], pc.SetLookupOptions(value_set=found))


def _column(table: pa.Table, name: str) -> pa.Array:
    """A column as one array: Arrow's functions on lists take no chunks."""
    return table[name].combine_chunks()


def _lengths(table: pa.Table, name: str) -> NDArray[np.int64]:
    """How many elements the list in each row has."""
    return np.asarray(_column(table, name).value_lengths(), np.int64)


def _numbers(column: pa.ChunkedArray) -> _Floats:
    """Booleans as 0 and 1, null as NaN."""
    return np.asarray(pc.fill_null(pc.cast(column, pa.float64()), np.nan), np.float64)


def margin(responses: pa.Table) -> _Floats:
    """Summed log-probability of the right option less that of the best wrong one, nats; above 0 the choice is right.

    Of an item with several right options the target counts, and whatever else was chosen and found right. NaN for an
    item without options, with one option, without log-probabilities or whose target is none of its options.
    """
    found = np.full(responses.num_rows, np.nan)
    sizes, scored = _lengths(responses, "options"), _lengths(responses, "logprobs")
    usable = np.flatnonzero((sizes == scored) & (sizes > 1))
    if not len(usable):
        return found
    part, sizes = responses.take(pa.array(usable)), sizes[usable]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    logprobs = np.asarray(_column(part, "logprobs").flatten(), np.float64)
    targets = _column(part, "target").take(pa.array(np.repeat(np.arange(len(usable)), sizes)))
    is_target = np.asarray(pc.call_function("equal", [_column(part, "options").flatten(), targets]), np.bool_)
    found_right = np.asarray(pc.fill_null(part["choice_correct"], fill_value=False), np.bool_)
    right, best = (np.maximum.reduceat(at, starts) for at in (np.where(is_target, logprobs, -np.inf), logprobs))
    another = found_right & np.isfinite(right) & (right < best)
    is_right = is_target | (np.repeat(another, sizes) & (logprobs == np.repeat(best, sizes)))
    right = np.maximum.reduceat(np.where(is_right, logprobs, -np.inf), starts)
    wrong = np.maximum.reduceat(np.where(is_right, -np.inf, logprobs), starts)
    finite = np.isfinite(right) & np.isfinite(wrong)
    found[usable[finite]] = right[finite] - wrong[finite]
    return found


def _baseline(x: _Side, z: _Side | str) -> tuple[_Floats, str]:
    """What the baseline answered to the items of x, NaN where nothing, and why it is none: it holds other items."""
    nothing = np.full(len(x.items), np.nan)
    if isinstance(z, str):
        return nothing, "" if z == _UNREAD else f"z {z}"
    order = _order(x.items, z.items)
    if order is None:
        shared = len(x.items) - _places(x.items, z.items).null_count
        return nothing, f"z holds {shared} of the {len(x.items)} items of x"
    return z.right[np.asarray(order)], ""


def _join(metric: str, x: _Side, y: _Side, z: _Side | str) -> _Joined:
    order = _order(x.items, y.items)
    if order is None:
        shared = len(x.items) - _places(x.items, y.items).null_count
        return _Joined({}, mismatch=f"x and y share {shared} of {len(x.items)} and {len(y.items)} items")
    z_right, other = _baseline(x, z)
    if metric not in RIGHT:
        return _Joined({}, left_out=f"{metric} is not right or wrong for each item", other_baseline=other)
    at_y = np.asarray(order)
    return _Joined(
        {
            "item": x.items,
            "x": _nullable(x.right),
            "y": _nullable(y.right[at_y]),
            "z": _nullable(z_right),
            "x_margin": _nullable(x.margin),
            "prompt_tokens": pa.array(y.prompt_tokens[at_y]),
            "options": pa.array(x.options, mask=x.options == 0),
            "first_x": pc.cast(_nullable(x.first), pa.bool_()),
            "first_y": pc.cast(_nullable(y.first[at_y]), pa.bool_()),
        },
        other_baseline=other,
    )


def _nullable(values: _Floats) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _tables(pairs: pa.Table, parts: Sequence[_Joined]) -> tuple[pa.Table, pa.Table]:
    """The table "items" and the first seed's answers, row by row the same."""
    kept = [(at, part.columns) for at, part in enumerate(parts) if part.columns]
    wanted = tables.schema("items")
    if not kept:
        return wanted.empty_table(), FIRST.empty_table()
    counts = [len(columns["item"]) for _, columns in kept]
    places = pa.array(np.repeat([at for at, _ in kept], counts))
    made = {name: pairs[name].take(places) for name in _TAKEN}
    made |= {
        name: pa.chunked_array([columns[name] for _, columns in kept])
        for name in kept[0][1]
    }  # fmt: skip
    first = pa.table([made.pop("first_x"), made.pop("first_y")], schema=FIRST)
    whole = pa.table([made[name] for name in wanted.names], schema=wanted).combine_chunks()
    return tables.checked("items", whole), first.combine_chunks()


def _left_out(rows: Sequence[Mapping[str, object]], parts: Sequence[_Joined]) -> list[LeftOut]:
    counts: dict[tuple[str, str, str], int] = {}
    for row, part in zip(rows, parts, strict=True):
        if part.left_out:
            key = (str(row["task"]), str(row["metric"]), part.left_out)
            counts[key] = counts.get(key, 0) + 1
    return [LeftOut(task, metric, count, reason) for (task, metric, reason), count in sorted(counts.items())]
