"""What a store holds below its scores: answers to single items, and how each side was computed."""

from collections.abc import Mapping, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from app.analysis.audits import Evaluated
from app.analysis.items import Asked, Responses
from app.errors import StoreError
from app.evaluation import requests
from app.plan import EvaluateCell, Plan
from app.store import Record, Store

_Key = tuple[str, str | None, str, str, str]
"""Base, run, task, condition, wording."""
Finished = Mapping[_Key, Sequence[EvaluateCell]]


def responses(planned: Plan, store: Store) -> Responses:
    """Reads the asked columns of an evaluation's responses, by seed; nothing where one of them cannot be read."""
    known = finished(planned, store)

    def read_all(asked: Asked) -> Sequence[pa.Table]:
        found = [read(store, cell, asked.columns) for cell in seeds(known, asked)]
        return [] if any(table is None for table in found) else cast(list[pa.Table], found)

    return read_all


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


def finished(planned: Plan, store: Store) -> Finished:
    """The evaluations that scores come from: those finished with the plan's inputs."""
    records, found = store.records("evaluate"), dict[_Key, list[EvaluateCell]]()
    for cell in planned.evaluations:
        if cell.slug not in records or records[cell.slug].fingerprint != cell.fingerprint:
            continue
        run, condition = cell.run.slug if cell.run else None, cell.condition
        key = (cell.base.slug, run, cell.task.name, condition.name, condition.wording)
        found.setdefault(key, []).append(cell)
    return found


def seeds(known: Finished, asked: Asked) -> list[EvaluateCell]:
    """The cells of one evaluation, by seed of demonstrations."""
    cells = known.get((asked.base, asked.run, asked.task, asked.condition, asked.wording), [])
    count = max((cell.condition.shots for cell in cells), default=0) if asked.shots is None else asked.shots
    return sorted((c for c in cells if c.condition.shots == count), key=lambda cell: cell.condition.shot_seed)


def read(store: Store, cell: EvaluateCell, columns: Sequence[str]) -> pa.Table | None:
    """Columns of the responses of an evaluation; None where they are gone or damaged."""
    try:
        with store.open_input(requests.responses_path(cell)) as stream:
            return pq.ParquetFile(stream).read(columns=list(columns), use_threads=False)
    except (StoreError, pa.ArrowInvalid, OSError):
        return None
