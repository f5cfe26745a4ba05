"""The report's checks: test items in mixtures, and what differs between the two renderings of a pair."""

from collections import Counter
from typing import Any, NamedTuple, cast

import pyarrow as pa


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
    """Test items found in a training example that was not left out, largest over recipes."""


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
    left: Counter[str] = Counter()
    for row in rows:
        if not row["left_out"]:
            left[row["recipe"]] += max(row["by_text"], row["by_13_gram"])
    return Checked(len({row["recipe"] for row in rows}), len(items), sum(items.values()), max(left.values(), default=0))


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
