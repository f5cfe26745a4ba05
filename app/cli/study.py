"""`fewtune run`, `plan` and `check`: what is done with a study file."""

import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from app.cli.console import err, out, print_correlations
from app.cli.options import Mirror, Replace, StoreRoot, StudyPath

if TYPE_CHECKING:
    from app.plan import Plan
    from app.stages import Outcome
    from app.store import Store
    from app.study import StudyFile


def run(
    study: StudyPath,
    store: StoreRoot = None,
    mirror: Mirror = None,
    replace: Replace = False,
) -> None:
    """Run a study to its end; run again, it does only what is missing."""
    from app.study import load

    started = time.monotonic()
    file = load(study)  # before what computes is imported: a slip of the pen is answered at once

    from app.launch.progress import summary
    from app.store import Store

    place = Store(store or f"stores/{file.study.name}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcome = _compute(file, place, mirror, replace)
    except (KeyboardInterrupt, SystemExit):  # the latter is how Ray, while it starts, has a driver end on a signal
        kept = f"interrupted: what was finished is kept in {place.root}; the same command goes on from there"
        err.print(kept, soft_wrap=True)
        raise typer.Exit(1) from None
    if place.exists("tables/correlations.parquet"):
        print_correlations(place)
    counts, *causes = summary(outcome, time.monotonic() - started)
    out.print(counts)
    for line in causes:
        err.print(Text(line, style="bold red" if line.startswith("failed") else "yellow"), soft_wrap=True)
    if place.exists("report/index.html"):
        out.print(f"tables  {place.shown('tables')}", soft_wrap=True)
        out.print(f"report  {place.shown('report/index.html')}", soft_wrap=True)
    if outcome.failures:
        err.print("the same command tries the failed cells again")
        raise typer.Exit(1)


def _compute(file: "StudyFile", place: "Store", mirror: str | None, replace: bool) -> "Outcome":
    """Run the study; faults of study and store are told before Ray starts."""
    from app import stages
    from app.launch.journal import Journal
    from app.launch.progress import Several, reporter
    from app.launch.session import session

    planned = stages.plan(file)
    place.check(file.study.name)
    again = ["fewtune", "run", str(file.path.resolve()), "--store", place.root]
    again += ["--data-mirror", str(Path(mirror).resolve())] if mirror else []
    with session(), reporter(err) as progress, Journal(place, planned, retry=shlex.join(again)) as journal:
        return stages.run(file, place, mirror, Several(progress, journal), replace=replace)


def plan(
    study: StudyPath,
    store: StoreRoot = None,
    cells: Annotated[bool, typer.Option("--cells", help="List every cell.")] = False,
    cluster: Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            show_default=False,
            help="A cluster file (ray up, RayCluster, RayJob): does every cell fit it, and how long would it take?",
        ),
    ] = None,
    power: Annotated[
        bool, typer.Option("--power", help="Simulate the design: widths of intervals, power, and what to add first.")
    ] = False,
) -> None:
    """Show what a run would compute, reuse and find stale, with what it needs and costs."""
    from app.study import load

    file = load(study)

    from app import stages
    from app.cli.planned import cell_table, cost_tables, reasons, stage_table
    from app.store import Store

    planned = stages.plan(file)
    place = Store(store or f"stores/{file.study.name}")
    place.check(file.study.name)
    found = stages.status(planned, place)
    if cells:
        out.print(cell_table(found))
    out.print(stage_table(planned, found))
    for table in cost_tables(planned, found):
        out.print()
        out.print(table)
    for line in reasons(found):
        out.print(line, soft_wrap=True)
    if cluster is not None:
        from app import nodes
        from app.cli.planned import cluster_lines

        types = nodes.read(cluster)
        stages.feasible(planned.cells, types)
        for line in cluster_lines(planned, found, types):
            out.print(line, soft_wrap=True)
    if power:
        from app.cli.power import power_shown

        for part in power_shown(planned):
            out.print()
            out.print(part)


def check(study: StudyPath, mirror: Mirror = None) -> None:
    """Check a study file, its base models, and that every task gives its items and demonstrations."""
    from app.study import load

    file = load(study)

    from app import stages
    from app.evaluation import requests
    from app.plan import Condition, EvaluateCell
    from app.tasks import catalog, loading
    from app.tasks.planned import task_of

    planned = stages.plan(file)
    _made_here(planned)
    table = Table("task", "cluster", "role", "metric", "train", "test", box=None)
    facts = {task.name: task for cell in planned.tunings for task in cell.run.mixture}
    asked: dict[str, dict[Condition, EvaluateCell]] = {}
    for cell in planned.evaluations:
        facts[cell.task.name] = cell.task
        asked.setdefault(cell.task.name, {})[cell.condition] = cell
    for name in sorted(facts, key=[task.name for task in catalog.TASKS].index):
        task = task_of(facts[name])
        data = loading.load(task, mirror)
        for cell in asked.get(name, {}).values():
            if not cell.writer:  # what a model will write is not known
                pool = [(other, loading.load(other, mirror)) for other in map(task_of, cell.cross_task)]
                requests.render(cell, data, pool=pool)
        table.add_row(task.name, task.cluster, task.role, task.metric, str(len(data.train)), str(len(data.test)))
    out.print(table)
    runs, evaluations = len(planned.tunings), len(planned.evaluations)
    out.print(f"{study} is sound: {len(planned.made)} base models made, {runs} tunings, {evaluations} evaluations")


def _made_here(planned: "Plan") -> None:
    """Raise StudyError where a base model of the ladder cannot be pretrained, or not be tuned as a recipe says."""
    from app.errors import StudyError, TaskError
    from app.pretraining import corpus

    for cell in planned.made:
        if cell.base.ladder:
            try:
                next(corpus.documents(0, cell.base.ladder.without))
            except TaskError as fault:
                raise StudyError(f"{cell.base.slug}: {fault}") from fault
    for cell in planned.tunings:
        if cell.base.ladder and cell.run.recipe.chat:
            raise StudyError(
                f"recipe {cell.run.recipe_name} has chat: true, and {cell.base.slug} has no chat template: name those "
                "that have one in its bases"
            )


def schema() -> None:
    """Print the JSON Schema of study files, for editors that check YAML while you type."""
    import json

    from app.study import json_schema

    print(json.dumps(json_schema(), indent=1))
