"""The stages of a study: base models, tune, evaluate, analyse. They know not where they run.

Each does only what the store lacks. A cell that fails takes along the cells that need it and no others; what was
finished stays.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import pyarrow as pa

from app import tables, trials
from app.analysis import correlation, gather, pairs, report
from app.errors import CellError, ModelError, StoreError, TaskError
from app.evaluation import renderings, requests, stream
from app.identity import fingerprint
from app.plan import Cell, EvaluateCell, Plan, Standing, expand, standing
from app.pretraining import trial as pretraining
from app.resolve import resolve
from app.store import Store
from app.study import Analysis, StudyFile, parse
from app.tasks import loading
from app.tasks.planned import task_of
from app.tasks.task import Example, Task, TaskData
from app.trials import Failure
from app.tuning import overlaps
from app.tuning import trial as tuning

CONTAMINATION, RENDERINGS = "tables/contamination.parquet", "tables/renderings.parquet"
_IDENTITY = b"fewtune.identity"  # of what a table was made from, where making it anew would take long
_AnyCell = TypeVar("_AnyCell", bound=Cell)


class Reporter(Protocol):
    """Hears how a run goes; the command line draws bars, a job writes lines."""

    def stage(self, name: str, cells: Sequence[Cell], reused: int) -> None:
        """A stage begins: the cells it must compute, and how many it found done."""
        ...

    def progress(self, slug: str, share: float) -> None:
        """A cell has done a share, 0 to 1, of its work."""
        ...


class Outcome(NamedTuple):
    """How a run ended."""

    plan: Plan
    failures: tuple[Failure, ...]
    computed: int
    reused: int


def plan(file: StudyFile) -> Plan:
    """The cells of a study. Raises StudyError."""
    return expand(file.study, resolve(file))


def status(planned: Plan, store: Store) -> Standing:
    """How the store stands against the plan."""
    return standing(planned, {slug: record.inputs for slug, record in store.records().items()})


def run(file: StudyFile, store: Store, mirror: str | None, reporter: Reporter, *, replace: bool = False) -> Outcome:
    """Run a study to its end; a Ray session must be there.

    Raises StudyError, TaskError or StoreError before anything is computed; `replace` computes stale cells anew.
    """
    planned = plan(file)
    if mirror is not None:  # workers have a working folder of their own
        mirror = str(Path(mirror).resolve())
    store.check(file.study.name)
    with store.exclusive():
        store.tidy()
        found = status(planned, store)
        if found.stale:
            if not replace:
                raise StoreError(stale_sentence(found, store))
            for cell, _ in found.stale:
                store.delete_record(cell.slug)
        store.keep(file.study.name, file.text, file.path)
        to_do = {cell.slug for cell in found.new} | {cell.slug for cell, _ in found.stale}
        failures = _compute(planned, to_do, store, mirror, reporter)
        if not failures or store.records("evaluate"):
            analyse(planned, store, failures)
    return Outcome(planned, tuple(failures), len(to_do) - len(failures), len(found.reused))


def of_store(root: str) -> tuple[StudyFile, Store]:
    """A store and its copy of the study file. Raises StoreError where it is no store."""
    store = Store(root)
    header, text = store.header(), store.read_text("study.yaml")
    if header is None or text is None:
        raise StoreError(f"{root} is not a FewTune store: give the folder or URI that `fewtune run` named")
    return parse(text, Path(str(header["origin"]))), store


def stale_sentence(found: Standing, store: Store) -> str:
    """What changed, and how to go on."""
    kinds: dict[str, int] = {}
    changes: dict[str, int] = {}
    for cell, lines in found.stale:
        kinds[cell.kind] = kinds.get(cell.kind, 0) + 1
        for line in lines:
            changes[line] = changes.get(line, 0) + 1
    cells = ", ".join(f"{count} {kind} cells" for kind, count in kinds.items())
    most = sorted(changes, key=lambda line: -changes[line])
    what = "; ".join(most[:3]) + (f"; and {len(most) - 3} more" if len(most) > 3 else "")
    return (
        f"{cells} in {store.root} were made from other inputs ({what}): run again with --replace to compute them anew, "
        f"or give another --store"
    )


def _compute(planned: Plan, to_do: set[str], store: Store, mirror: str | None, reporter: Reporter) -> list[Failure]:
    failures: list[Failure] = []

    def pending(name: str, cells: Sequence[_AnyCell]) -> list[_AnyCell]:
        """The stage's cells that are to do and whose base model and run are there."""
        lost = {failure.slug.split("/", 1)[1] for failure in failures}
        wanted = [cell for cell in cells if cell.slug in to_do]
        able = [cell for cell in wanted if not _needed(cell) & lost]
        failures.extend(Failure(c.slug, "what it needs failed") for c in wanted if _needed(c) & lost)
        reporter.stage(name, able, len(cells) - len(wanted))
        return able

    made = pending("base models", planned.made)
    for kind, work in (("pretrain", pretraining.pretrain), ("convert", pretraining.convert)):
        cells = [cell for cell in made if cell.kind == kind]
        failures += trials.run(cells, work, store, mirror, reporter.progress)
    failures += trials.run(pending("tune", planned.tunings), tuning.tune, store, mirror, reporter.progress)

    def done(slug: str, failure: str) -> None:
        if failure:
            failures.append(Failure(slug, failure))
        reporter.progress(slug, 1.0)

    def load(task: Task) -> TaskData:
        return loading.load(task, mirror)

    evaluations = pending("evaluate", planned.evaluations)
    # What SampleGen models write must be there before it is passed on to base models.
    for wave in ([c for c in evaluations if not c.writer], [c for c in evaluations if c.writer]):
        lost = {failure.slug for failure in failures}
        able: list[EvaluateCell] = []
        for cell in wave:
            if cell.writer and cell.writer.slug in lost:
                done(cell.slug, "what it needs failed")
                continue
            try:
                pool = [(task, load(task)) for task in map(task_of, cell.cross_task)]
                requests.write(cell, load(task_of(cell.task)), store, pool)
            except (TaskError, CellError) as fault:  # data that is absent takes its own task along alone
                done(cell.slug, str(fault))
                continue
            able.append(cell)
        stream.evaluate(planned.study.name, able, store, done)
    _audit(planned, store, load)
    return failures


def _audit(planned: Plan, store: Store, load: Callable[[Task], TaskData]) -> None:
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
        except (TaskError, ModelError, CellError) as fault:  # a check that cannot be made takes no result away
            logging.getLogger(__name__).warning("the table of %s was not made: %s", name, fault)
            continue
        store.write_table(name, path, tables.build(name, rows, {_IDENTITY.decode(): identity}))


def _needed(cell: Cell) -> set[str]:
    """Slugs, without their kind, of what a cell rests on."""
    run = getattr(cell, "run", None)
    if cell.kind in ("pretrain", "convert"):
        return set()
    return {cell.base.slug} | ({run.slug} if cell.kind == "evaluate" and run else set())


def analyse(planned: Plan, store: Store, failures: Sequence[Failure] = ()) -> None:
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
    return store.read_table(name, path) if store.exists(path) else None


def _facts(planned: Plan, store: Store, failures: Sequence[Failure]) -> report.Facts:
    """What the report says of how its tables came to be."""
    study, records = planned.study, store.records()
    kept = [records[cell.slug] for cell in planned.cells if cell.slug in records]
    seconds: dict[str, float] = {}
    for record in kept:
        seconds[record.kind] = seconds.get(record.kind, 0.0) + record.seconds
    data = {cell.task.name: cell for cell in planned.evaluations if cell.slug in records}
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
            "data": fingerprint({name: requests.facts(cell, store).data for name, cell in data.items()}),
        },
        contamination=_table(store, "contamination", CONTAMINATION),
        renderings=_table(store, "renderings", RENDERINGS),
        ladder=any(cell.base.source == "ladder" for cell in planned.cells),
        planned_pairs=_planned_pairs(planned),
    )
