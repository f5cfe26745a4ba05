"""From records to tables and report, and the checks that stand beside them."""

import logging
from collections.abc import Callable, Sequence
from typing import cast

import pyarrow as pa

from app import tables
from app.analysis import correlation, gather, pairs, report
from app.errors import CellError, ModelError, StoreError, TaskError
from app.evaluation import renderings, requests
from app.identity import fingerprint
from app.plan import Ended, Plan
from app.store import Store
from app.study import Analysis
from app.tasks.task import Example, Task, TaskData
from app.tuning import overlaps

CONTAMINATION, RENDERINGS = "tables/contamination.parquet", "tables/renderings.parquet"
_IDENTITY = b"fewtune.identity"  # of what a table was made from, where making it anew would take long


def audit(planned: Plan, store: Store, load: Callable[[Task], TaskData]) -> None:
    """The tables of test items in mixtures and of what differs between the prompts of a pair."""
    study = planned.study

    def items(task: Task, data: TaskData) -> Sequence[Example]:
        return requests.items(task, data, study.test_items, study.seed)

    checks: dict[str, tuple[str, str, Callable[[], list[dict[str, object]]]]] = {
        "contamination": (CONTAMINATION, overlaps.identity(planned), lambda: overlaps.rows(planned, load, items)),
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
    scores = gather.gather(planned, store.records("evaluate"))
    if scores.num_rows == 0:
        raise CellError(f"no evaluation is finished in {store.root}, so there is nothing to correlate")
    store.write_table("scores", "tables/scores.parquet", scores)
    made, found = correlate(planned, store)
    facts = _facts(planned, store, failures)
    for name, content in report.render(made, found, scores, _analysis(planned), facts).items():
        store.write_bytes(f"report/{name}", content)


def correlate(planned: Plan, store: Store) -> tuple[pairs.Pairs, pa.Table]:
    """Pairs and correlations from the scores table; both are written."""
    analysis = _analysis(planned)
    made = pairs.pairs(store.read_table("scores", "tables/scores.parquet"), analysis)
    store.write_table("pairs", "tables/pairs.parquet", made.table)
    found = correlation.correlations(made.table, analysis, planned.study.name)
    store.write_table("correlations", "tables/correlations.parquet", found)
    return made, found


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


def _facts(planned: Plan, store: Store, failures: Sequence[Ended]) -> report.Facts:
    """What the report says of how its tables came to be."""
    study, records = planned.study, store.records()
    kept = [records[cell.slug] for cell in planned.cells if cell.slug in records]
    seconds: dict[str, float] = {}
    for record in kept:
        seconds[record.kind] = seconds.get(record.kind, 0.0) + record.seconds
    asked = {c.task.name: records[c.slug].result["requests"] for c in planned.evaluations if c.slug in records}
    return report.Facts(
        study=study.name,
        description=study.description,
        command=f"fewtune run {study.name}.yaml",
        study_text=store.read_text("study.yaml") or "",
        versions=kept[-1].environment if kept else {},
        seeds={
            "study": str(study.seed),
            "demonstrations": ", ".join(map(str, study.shots.seeds)),
            "tuning": ", ".join(sorted({str(cell.run.seed) for cell in planned.tunings})),
        },
        seconds={kind: round(total, 1) for kind, total in seconds.items()},
        failed=[(failure.slug, failure.reason) for failure in failures],
        fingerprints={
            "plan": fingerprint([cell.fingerprint for cell in planned.cells]),
            "data": fingerprint({name: cast(dict[str, str], facts)["data"] for name, facts in asked.items()}),
        },
        contamination=_table(store, "contamination", CONTAMINATION),
        renderings=_table(store, "renderings", RENDERINGS),
        ladder=any(cell.base.source == "ladder" for cell in planned.cells),
        planned_pairs=_planned_pairs(planned),
    )
