"""From records to tables and report, and the checks that stand beside them."""

import json
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pyarrow as pa

from app import tables
from app.analysis.design import designs, outlook
from app.analysis.estimation import gains
from app.analysis.pairing import audits, gather, items, pairs
from app.analysis.reporting import report
from app.analysis.statistics import Found, statistics
from app.errors import CellError, ModelError, StoreError, StudyError, TaskError
from app.evaluation import renderings, requests
from app.identity import fingerprint
from app.plan import Ended, Plan
from app.stages import evidence, viewing
from app.store import Record, Store
from app.study import Analysis
from app.tasks.task import Example, Task, TaskData
from app.tuning import overlaps

POWER = "power.json"
CONTAMINATION, RENDERINGS = "tables/contamination.parquet", "tables/renderings.parquet"
_READERS = 4  # of responses: many small files
_IDENTITY = b"fewtune.identity"  # of what a table was made from, where making it anew would take long


def audit(planned: Plan, store: Store, load: Callable[[Task], TaskData]) -> None:
    """The tables of test items in mixtures and of what differs between the prompts of a pair."""
    study = planned.study

    def tested(task: Task, data: TaskData) -> Sequence[Example]:
        return requests.items(task, data, study.test_items, study.seed)

    checks: dict[str, tuple[str, str, Callable[[], list[dict[str, object]]]]] = {
        "contamination": (CONTAMINATION, overlaps.identity(planned), lambda: overlaps.rows(planned, load, tested)),
        "renderings": (RENDERINGS, "", lambda: renderings.rows(planned, store)),
    }
    for name, (path, identity, check) in checks.items():
        made = _table(store, name, path)
        if identity and made is not None and (made.schema.metadata or {}).get(_IDENTITY) == identity.encode():
            continue
        try:
            rows = check()
        except (
            TaskError,
            ModelError,
            CellError,
            StoreError,
        ) as fault:  # a check that cannot be made takes no result away
            logging.getLogger(__name__).warning("the table of %s was not made: %s", name, fault)
            continue
        store.write_table(name, path, tables.build(name, rows, {_IDENTITY.decode(): identity}))


def analyse(planned: Plan, store: Store, failures: Sequence[Ended] = ()) -> None:
    """Tables and report from the records of the plan's evaluations, all anew: cheap, and always consistent.

    Raises CellError where no evaluation is finished.
    """
    found, scores = _correlated(planned, store)
    facts = _facts(planned, store, failures, found)
    for name, content in report.render(
        found.pairs, found.tables["correlations"], scores, _analysis(planned), facts
    ).items():
        store.write_bytes(f"report/{name}", content)


def correlate(planned: Plan, store: Store) -> Found:
    """All statistics from the records of the plan's evaluations and their responses; every table is written.

    Raises CellError where no evaluation is finished.
    """
    return _correlated(planned, store)[0]


def _correlated(planned: Plan, store: Store) -> tuple[Found, pa.Table]:
    """The statistics, and the scores that they rest on."""
    analysis, study = _analysis(planned), planned.study.name
    scores = gather.gather(planned, store.records("evaluate"))
    if scores.num_rows == 0:
        raise CellError(f"no evaluation is finished in {store.root}, so there is nothing to correlate")
    store.write_table("scores", "tables/scores.parquet", scores)
    made = pairs.pairs(scores, analysis)
    with ThreadPoolExecutor(_READERS) as pool:
        answered = items.items(made.table, analysis, evidence.responses(planned, store), pool)
    for sentence in items.mismatched(answered):
        logging.getLogger(__name__).warning("%s", sentence)
    found = statistics(scores, made, answered, analysis, study)
    for name, table in found.tables.items():
        store.write_table(name, f"tables/{name}.parquet", table)
    return found, scores


def _analysis(planned: Plan) -> Analysis:
    """The study's, with the wording that it leaves out."""
    study = planned.study
    return study.analysis.model_copy(update={"wording": study.analysis.wording or study.wordings[0]})


def _planned_pairs(planned: Plan) -> int:
    """Runs that have the predicted condition, times tasks."""
    y = planned.study.analysis.y
    wanted = pairs.DIRECT if y == "direct" else (y,)
    return len({(c.run.slug, c.task.name) for c in planned.evaluations if c.run and c.condition.name in wanted})


def _table(store: Store, name: str, path: str) -> pa.Table | None:
    """A table, or None where there is none that can be read."""
    try:
        return store.read_table(name, path) if store.exists(path) else None
    except StoreError as fault:
        logging.getLogger(__name__).warning("%s; it is made anew", fault)
        return None


def _command(store: Store) -> str:
    """What made the store; of one that does not say so, what goes on with it."""
    told = (store.header() or {}).get("command")
    return str(told) if told else shlex.join(["fewtune", "run", store.shown("study.yaml"), "--store", store.root])


def _cost(planned: Plan, records: Mapping[str, Record]) -> str:
    """Hours of cores and of GPUs that the finished cells held; prices differ from place to place, and none is known."""
    hours = {"core": 0.0, "GPU": 0.0}
    for cell in planned.cells:
        if cell.slug in records:
            needs = cell.needs
            held = needs.gpus or needs.cpus
            hours["GPU" if needs.gpus else "core"] += held * needs.workers * records[cell.slug].seconds / 3600
    return ", ".join(f"{spent:,.1f} {what}-hours" for what, spent in hours.items() if spent)


def _outlook(planned: Plan, store: Store) -> outlook.Outlook | None:
    """What the planned design can tell, kept in the store; None where it pairs nothing."""
    try:
        design = designs.planned(planned)
    except StudyError:
        return None
    identity = outlook.identity(design)
    try:
        kept = json.loads(store.read_text(POWER) or "{}")
        if kept.get("identity") == identity:
            return outlook.from_json(kept["outlook"])
    except (ValueError, KeyError, TypeError):
        logging.getLogger(__name__).warning("%s is damaged; it is made anew", POWER)
    made = outlook.outlook(design)
    store.write_text(POWER, json.dumps({"identity": identity, "outlook": outlook.as_json(made)}))
    return made


def _versions(kept: Sequence[Record]) -> dict[str, str]:
    """What computed the cells; several values where some were computed later by something else."""
    found: dict[str, set[str]] = {}
    for record in kept:
        for name, value in record.environment.items():
            found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _facts(planned: Plan, store: Store, failures: Sequence[Ended], found: Found) -> report.Facts:
    """What the report says of how its tables came to be."""
    study, records = planned.study, store.records()
    kept = [
        records[cell.slug]
        for cell in planned.cells
        if cell.slug in records and records[cell.slug].fingerprint == cell.fingerprint
    ]
    seconds: dict[str, float] = {}
    for record in kept:
        seconds[record.kind] = seconds.get(record.kind, 0.0) + record.seconds
    asked = {c.task.name: records[c.slug].result["requests"] for c in planned.evaluations if c.slug in records}
    renderings = _table(store, "renderings", RENDERINGS)
    return report.Facts(
        study=study.name,
        description=study.description,
        command=_command(store),
        study_text=store.read_text("study.yaml") or "",
        versions=_versions(kept),
        seeds={
            "study": str(study.seed),
            "demonstrations": ", ".join(map(str, study.shots.seeds)),
            "tuning": ", ".join(sorted({str(cell.run.seed) for cell in planned.tunings})),
        },
        seconds={kind: round(total, 1) for kind, total in seconds.items()},
        cost=_cost(planned, records),
        failed=[(failure.slug, failure.reason) for failure in failures],
        fingerprints={
            "plan": fingerprint([cell.fingerprint for cell in planned.cells]),
            "data": fingerprint({name: cast(dict[str, str], facts)["data"] for name, facts in asked.items()}),
        },
        contamination=_table(store, "contamination", CONTAMINATION),
        renderings=renderings,
        items=found.tables["items"],
        agreement=found.tables["agreement"],
        components=found.tables["components"],
        limits=found.tables["limits"],
        confounds=audits.confounds(found.pairs.table, renderings, evidence.computed(planned, records)),
        gained=gains.gained(found.tables["items"]),
        views=viewing.views(planned, store, found.pairs.table, found.tables["items"], _analysis(planned)),
        ladder=any(cell.base.source == "ladder" for cell in planned.cells),
        power=_outlook(planned, store),
        planned_pairs=_planned_pairs(planned),
    )
