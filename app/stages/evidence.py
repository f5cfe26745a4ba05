"""What a store holds below its scores: answers to single items, the prompts of some, and how each side was computed."""

from collections.abc import Mapping, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from app.analysis.audits import Evaluated
from app.analysis.explorer import OUTCOMES
from app.analysis.facts import ItemView
from app.analysis.items import Asked, Responses
from app.analysis.pairs import DIRECT, answered_by
from app.errors import StoreError
from app.evaluation import requests
from app.plan import EvaluateCell, Plan
from app.store import Record, Store
from app.study import Analysis

_VIEWS = 60  # items of the explorer: some kilobytes each

_Key = tuple[str, str | None, str, str, str]
"""Base, run, task, condition, wording."""


def responses(planned: Plan, store: Store) -> Responses:
    """Reads the asked columns of an evaluation's responses, by seed; nothing where one of them cannot be read."""
    known = _cells(planned, store)

    def read(asked: Asked) -> Sequence[pa.Table]:
        cells = _seeds(known, asked.base, asked.run, asked.task, asked.condition, asked.wording, asked.shots)
        found = [_read(store, cell, asked.columns) for cell in cells]
        return [] if any(table is None for table in found) else cast(list[pa.Table], found)

    return read


def views(planned: Plan, store: Store, items: pa.Table, analysis: Analysis) -> list[ItemView]:
    """Items for the explorer: of each task one pair, and of that one item for each outcome, as far as there are.

    Pairs take turns, so that neighbouring tasks show other models; the same tables give the same items.
    """
    known = _cells(planned, store)
    pairs: dict[str, dict[tuple[str, str | None], list[dict[str, object]]]] = {}
    for row in items.select(["base", "run", "task", "item", "x", "y"]).to_pylist():
        pairs.setdefault(row["task"], {}).setdefault((row["base"], row["run"]), []).append(row)
    made: list[ItemView] = []
    for number, (task, of_task) in enumerate(sorted(pairs.items())):
        names = sorted(of_task, key=str)
        base, run = names[number * 7 % len(names)]
        chosen: dict[tuple[bool, bool], str] = {}
        for row in of_task[base, run]:
            if row["x"] in (0, 1) and row["y"] in (0, 1):
                chosen.setdefault((bool(row["x"]), bool(row["y"])), str(row["item"]))
        sides = [
            _seeds(known, base, answered_by(run, name), task, name, analysis.wording or "standard", None)
            for name in (analysis.x, _direct(known, base, run, task, analysis))
        ]
        if len(made) + len(chosen) > _VIEWS or not all(sides):
            continue
        x, y = (_seen(store, side[0], set(chosen.values())) for side in sides)
        for outcome in OUTCOMES:
            item = chosen.get(outcome)
            if item in x and item in y:
                shown = (x[item][0], y[item][0], x[item][1], y[item][1], x[item][2])
                made.append(ItemView(task, base, run or base, item, *shown, *outcome))
    return made


def computed(records: Mapping[str, Record]) -> dict[Evaluated, dict[str, str]]:
    """How each evaluation was computed, as far as both sides of a pair should have it alike."""
    found: dict[Evaluated, dict[str, str]] = {}
    for record in records.values():
        rows = cast(list[dict[str, str]], record.result.get("scores", []))
        if record.kind == "evaluate" and rows:
            row, environment = rows[0], record.environment
            facts = {"precision": str(record.result.get("precision", "")), "machine": environment.get("platform", "")}
            facts |= {name: environment.get(name, "") for name in ("torch", "transformers")}
            key = (row["base"], cast(str | None, row["run"]), row["task"], row["condition"])
            found[key] = {name: value for name, value in facts.items() if value}
    return found


def _cells(planned: Plan, store: Store) -> dict[_Key, list[EvaluateCell]]:
    """The evaluations that scores come from: those finished with the plan's inputs."""
    records, found = store.records("evaluate"), dict[_Key, list[EvaluateCell]]()
    for cell in planned.evaluations:
        if cell.slug not in records or records[cell.slug].fingerprint != cell.fingerprint:
            continue
        run, condition = cell.run.slug if cell.run else None, cell.condition
        key = (cell.base.slug, run, cell.task.name, condition.name, condition.wording)
        found.setdefault(key, []).append(cell)
    return found


def _seeds(
    known: Mapping[_Key, list[EvaluateCell]],
    base: str,
    run: str | None,
    task: str,
    condition: str,
    wording: str,
    shots: int | None,
) -> list[EvaluateCell]:
    """The cells of one evaluation, by seed of demonstrations; `shots` None: the largest count."""
    cells = known.get((base, run, task, condition, wording), [])
    count = max((cell.condition.shots for cell in cells), default=0) if shots is None else shots
    return sorted((c for c in cells if c.condition.shots == count), key=lambda cell: cell.condition.shot_seed)


def _direct(known: Mapping[_Key, list[EvaluateCell]], base: str, run: str | None, task: str, analysis: Analysis) -> str:
    """The condition of the tuned side; `direct` is that of the run's own format."""
    if analysis.y != "direct":
        return analysis.y
    wording = analysis.wording or "standard"
    return next((n for n in DIRECT if (base, run, task, n, wording) in known), DIRECT[0])


def _read(store: Store, cell: EvaluateCell, columns: Sequence[str]) -> pa.Table | None:
    try:
        with store.open_input(requests.responses_path(cell)) as stream:
            return pq.ParquetFile(stream).read(columns=list(columns), use_threads=False)
    except (StoreError, pa.ArrowInvalid, OSError):
        return None


def _seen(store: Store, cell: EvaluateCell, wanted: set[str]) -> dict[str, tuple[str, str, str]]:
    """Item -> its prompt, the answer and the target; empty where prompts or answers are gone."""
    table = _read(store, cell, ("item", "choice", "generated", "target"))
    if table is None:
        return {}
    try:
        prompts = {one.item: one.context for batch in requests.read(cell, store) for one in batch if one.item in wanted}
    except (StoreError, pa.ArrowInvalid, OSError):
        return {}
    answers = {row["item"]: row for row in table.to_pylist() if row["item"] in prompts}
    return {
        item: (prompts[item], row["generated"] if row["generated"] is not None else row["choice"] or "", row["target"])
        for item, row in answers.items()
    }
