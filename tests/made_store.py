"""A finished store without a model: real cells, requests, judgement and records of answers that were drawn by lot."""

import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from app import stages, tables
from app.evaluation import requests
from app.evaluation.judgement import Response, Tally
from app.identity import versions
from app.models.generation import Generation
from app.plan import EvaluateCell, Plan, columns
from app.store import Record, Store
from app.study import parse
from app.tasks import loading
from app.tasks.planned import task_of


def made_store(text: str, root: Path, skill: float = 0.6) -> tuple[Plan, Store]:
    """`skill`: about the share of right answers, more on some tasks and by some models than on others and by others."""
    file = parse(text, root / "made.yaml")
    planned, store = stages.plan(file), Store(root)
    store.keep(file.study.name, text, file.path, "fewtune run made.yaml")
    for cell in planned.made:
        store.write_record(Record(cell.kind, cell.slug, cell.inputs, {}, 90.0, versions()))
    for cell in planned.tunings:
        store.write_record(Record(cell.kind, cell.slug, cell.inputs, {}, 180.0, versions()))
    for cell in planned.evaluations:
        _evaluate(planned.study.name, cell, store, skill)
    return planned, store


def _evaluate(study: str, cell: EvaluateCell, store: Store, skill: float) -> None:
    data, task = loading.load(task_of(cell.task), None), task_of(cell.task)
    requests.write(cell, data, store)
    own = [_lot(part).normal() for part in (cell.task.name, cell.base.slug, cell.base.slug + cell.task.name)]
    odds = np.log(skill / (1 - skill)) + 0.8 * sum(own) - (0.8 if cell.condition.name == "base-zero-shot" else 0.0)
    rng, tally, shared = _lot(cell.slug), Tally(), columns(study, cell, cell.base.params)
    rows: list[dict[str, object]] = []
    for batch in requests.read(cell, store):
        for one in batch:
            said = one.target if rng.random() < 1 / (1 + np.exp(-odds)) else "none"
            rows.append(tally.judge(Response(one, None, (), Generation(f" {said}\n", 40, 0, True))))
    exposure = {column.name for column in tables.EXPOSURE}
    place = {name: value for name, value in shared.items() if name not in exposure}
    file = Path(store.root) / requests.responses_path(cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(tables.build("responses", [place | row for row in rows]), file)
    facts = requests.facts(cell, store)
    result = {"scores": [shared | row for row in tally.scores(facts, task, None)], "requests": facts._asdict()}
    store.write_record(Record(cell.kind, cell.slug, cell.inputs, result, 2.0, versions()))


def _lot(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))
