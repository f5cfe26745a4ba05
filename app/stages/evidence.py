"""What a store holds below its scores: answers to single items, and how each side was computed."""

from collections.abc import Mapping, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from app.analysis.pairing.audits import Evaluated
from app.analysis.pairing.items import Asked, Responses
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


def computed(planned: Plan, records: Mapping[str, Record]) -> dict[Evaluated, dict[str, str]]:
    """How each evaluation was computed, as far as both sides of a pair should have it alike; all seeds together."""
    found: dict[Evaluated, dict[str, list[str]]] = {}
    for cell in planned.evaluations:
        record = records.get(cell.slug)
        if record is None or record.fingerprint != cell.fingerprint:
            continue
        name, shots = cell.condition.name, cell.condition.shots
        counted = shots if name.endswith("few-shot") else None
        run = cell.run.slug if cell.run else None
        key = Evaluated(cell.base.slug, run, cell.task.name, name, cell.condition.wording, counted)
        told = found.setdefault(key, {})
        for what, value in _facts(record).items():
            if value and value not in told.setdefault(what, []):
                told[what].append(value)
    return {key: {what: ", ".join(sorted(values)) for what, values in told.items()} for key, told in found.items()}


def _facts(record: Record) -> dict[str, str]:
    result, environment = record.result, record.environment
    facts = {what: str(result.get(what, "")) for what in ("precision", "template")}
    for what in ("scoring", "generation"):
        facts[f"path of {what}"] = str(cast(Mapping[str, object], result.get(what, {})).get("path", ""))
    facts["machine"] = environment.get("device") or environment.get("platform", "")
    return facts | {name: environment.get(name, "") for name in ("torch", "transformers", "vllm")}


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
