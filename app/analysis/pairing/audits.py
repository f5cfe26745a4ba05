"""The report's checks: test items in mixtures, and what differs between the two sides of a pair beyond tuning."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import pyarrow as pa

from app.analysis.pairing.pairs import answered_by

_MOST = -1  # stands for the largest number of demonstrations
_SHOWN = 3  # differences of a kind that are named


class Evaluated(NamedTuple):
    """What a score was measured by; several seeds of demonstrations are one."""

    base: str
    run: str | None
    """None: the base model itself."""
    task: str
    condition: str
    wording: str
    shots: int | None = None
    """Demonstrations of a few-shot condition; None: not known, or no such condition."""


class Overlap(NamedTuple):
    """Test items of one task that training examples of another hold, for one recipe."""

    recipe: str
    tuned_task: str
    tested_task: str
    items: int
    by_text: int
    by_13_gram: int
    train_examples: int
    left_out: bool


class Checked(NamedTuple):
    """What the contamination check looked at."""

    recipes: int
    tasks: int
    items: int
    found: int
    """Test items that at least are in a training example that was not left out, largest over recipes."""


class Rendering(NamedTuple):
    """How the two renderings of items differ, for one recipe, beyond what is declared."""

    recipe: str
    y_condition: str
    items: int
    same_answers: int
    """Items whose answers have the same tokens on both sides."""
    double_bos: int
    only_x: str
    """The commonest tokens that only the base model's prompt has."""
    only_y: str


class Confound(NamedTuple):
    """One thing that is not the same on both sides of some pairs, though neither tuning nor the prompt declares it."""

    what: str
    pairs: int
    """In which it differs."""
    of: int
    """In which it is known for both sides."""
    tasks: int
    """With such a pair."""
    detail: str
    """The commonest differences, x first."""


def confounds(
    pairs: pa.Table,
    renderings: pa.Table | None = None,
    computed: Mapping[Evaluated, Mapping[str, str]] | None = None,
) -> list[Confound]:
    """What differs between the sides x and y of pairs; empty where nothing was found to.

    Prompts cut on one side only; from `renderings`, by base, recipe and task: answer tokens, tokens that begin a text,
    and tokens beyond demonstrations and instruction; from `computed`, by evaluation: each fact that both sides have,
    as precision or device. A fact that one side lacks is not compared.
    """
    rows = cast(list[dict[str, Any]], pairs.to_pylist())
    known = dict(computed or {})
    for one in sorted(known, key=lambda one: one.shots or 0):
        known[one._replace(shots=_MOST)] = known[one]  # of a side whose count a pair does not tell: the largest
    found: dict[str, list[tuple[str, str]]] = {}  # what -> task and difference; no difference: ""
    shown = {} if renderings is None else {
        (row["base"], row["recipe"], row["task"], row["y_condition"]): row for row in renderings.to_pylist()
    }  # fmt: skip
    for row in rows:
        differences = [*_cut(row), *_rendered(shown.get((row["base"], row["recipe"], row["task"], row["y_condition"])))]
        for what, x, y in [*differences, *_computed(row, known)]:
            found.setdefault(what, []).append((row["task"], "" if x == y else f"{x} | {y}"))
    return [
        Confound(what, len(different), len(cases), len({task for task, _ in different}), _told(different))
        for what, cases in found.items()
        if (different := [case for case in cases if case[1]])
    ]


def _cut(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    x, y = ("some" if row[name] else "none" for name in ("x_cut", "y_cut"))
    yield "prompts that lost their beginning", x, y


def _rendered(row: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    if row is not None:
        yield "answer tokens", "same", "same" if row["same_answer_tokens"] else "other"
        yield "tokens that begin a text", str(row["x_bos"]), str(row["y_bos"])
        yield "tokens beyond demonstrations and instruction", row["only_x"] or "none", row["only_y"] or "none"


def _computed(row: Mapping[str, Any], facts: Mapping[Evaluated, Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    x, y = (_facts(row, row[side], facts) for side in ("x_condition", "y_condition"))
    for name in x:
        if name in y:
            yield name, x[name], y[name]


def _facts(row: Mapping[str, Any], condition: str, facts: Mapping[Evaluated, Mapping[str, str]]) -> Mapping[str, str]:
    key = Evaluated(row["base"], answered_by(row["run"], condition), row["task"], condition, row["wording"])
    counted = key._replace(shots=row["x_shots"] or _MOST) if condition.endswith("few-shot") else key
    return facts.get(counted) or facts.get(key) or {}


def _told(different: Sequence[tuple[str, str]]) -> str:
    counts = Counter(difference for _, difference in different)
    parts = [f"{difference} ({count:,})" for difference, count in counts.most_common(_SHOWN)]
    return "; ".join(parts) + (f"; {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else "")


def overlaps(table: pa.Table | None) -> list[Overlap]:
    """Pairs of tasks with an overlap, the largest first."""
    rows = [] if table is None else cast(list[dict[str, Any]], table.to_pylist())
    found = [
        Overlap(
            row["recipe"], row["tuned_task"], row["tested_task"], row["test_items"], row["by_text"], row["by_13_gram"],
            row["train_examples"], row["left_out"],
        )
        for row in rows
        if row["tuned_task"]
    ]  # fmt: skip
    return sorted(found, key=lambda o: (o.left_out, -max(o.by_text, o.by_13_gram), o.recipe, o.tuned_task))


def checked(table: pa.Table | None) -> Checked | None:
    """The extent of the check; None where it was not made."""
    if table is None or table.num_rows == 0:
        return None
    rows = cast(list[dict[str, Any]], table.to_pylist())
    items = {row["tested_task"]: row["test_items"] for row in rows}
    # Both ways, and several tuned tasks, may concern the same items: of a tested task the largest count is sure.
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if not row["left_out"]:
            held = found[row["recipe"]]
            held[row["tested_task"]] = max(held[row["tested_task"]], row["by_text"], row["by_13_gram"])
    remaining = max((held.total() for held in found.values()), default=0)
    return Checked(len({row["recipe"] for row in rows}), len(items), sum(items.values()), remaining)


def renderings(table: pa.Table | None) -> list[Rendering]:
    """One line for each recipe."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in [] if table is None else cast(list[dict[str, Any]], table.to_pylist()):
        groups.setdefault((row["recipe"], row["y_condition"]), []).append(row)
    return [
        Rendering(
            recipe, condition, len(rows), sum(row["same_answer_tokens"] for row in rows),
            sum(max(row["x_bos"], row["y_bos"]) > 1 for row in rows), _commonest(rows, "only_x"),
            _commonest(rows, "only_y"),
        )
        for (recipe, condition), rows in sorted(groups.items())
    ]  # fmt: skip


def _commonest(rows: list[dict[str, Any]], name: str) -> str:
    counts = Counter(token for row in rows for token in str(row[name]).split())
    return " ".join(token for token, _ in counts.most_common(8)) or "none"
