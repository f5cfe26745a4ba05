"""Items for the explorer from the logged items of lm-evaluation-harness, which hold prompts and answers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from app.analysis.own import harness_samples
from app.analysis.own.given import X, Y
from app.analysis.own.harness_items import Cell
from app.analysis.own.harness_match import Origin
from app.analysis.reporting import explorer
from app.analysis.reporting.facts import ItemView


def views(cells: Sequence[Cell], origins: Mapping[str, Origin], items: pa.Table | None) -> list[ItemView]:
    """Items of as many tasks, models and outcomes as there is room for; none without the table "items"."""
    if items is None:
        return []
    files = {(cell.model, cell.condition, cell.result.task): cell.result.samples for cell in cells}
    of_task: dict[str, list[explorer.Row]] = {}
    for row in items.select(["task", "base", "run"]).group_by(["task", "base", "run"]).aggregate([]).to_pylist():
        of_task.setdefault(row["task"], []).append(row)
    return explorer.in_turn(
        _turns(number, sorted(rows, key=lambda row: str(row["run"])), items, files)
        for number, (_, rows) in enumerate(sorted(of_task.items()))
    )


def _turns(
    number: int, rows: Sequence[explorer.Row], items: pa.Table, files: Mapping[tuple[str, str, str], Path]
) -> Iterator[ItemView]:
    for row in explorer.spread(rows, number):
        task, base, run = (cast(str, row[name]) for name in ("task", "base", "run"))
        mine = (pc.field("task") == task) & (pc.field("base") == base) & (pc.field("run") == run)
        chosen = explorer.examples(items.filter(mine))
        wanted = {outcome: int(item.partition("-")[0]) for outcome, item in chosen.items()}
        x, y = (harness_samples.seen(files[key], set(wanted.values())) for key in ((base, X, task), (run, Y, task)))
        for outcome in explorer.outcomes(number):
            item = wanted.get(outcome)
            if item in x and item in y:
                texts = (x[item].prompt, y[item].prompt, x[item].answer, y[item].answer, x[item].target)
                yield ItemView(task, base, run, chosen[outcome], *texts, *outcome)
