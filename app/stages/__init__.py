"""The stages of a study: base models, tune, evaluate, analyse. They know not where they run.

Each cell is computed as soon as what it builds on is there, and only where the store lacks it. A cell that fails takes
along the cells that need it and no others; what was finished stays.
"""

import logging
import shlex
from pathlib import Path
from typing import NamedTuple

from app.errors import CellError, StoreError, StudyError
from app.grammar import counted
from app.plan import Ended, Plan, Standing, expand, standing
from app.resolve import resolve
from app.stages.feasible import feasible
from app.stages.reporter import Reporter
from app.store import Store
from app.study import StudyFile, parse

__all__ = [
    "Outcome",
    "Reporter",
    "feasible",
    "of_store",
    "plan",
    "run",
    "stale_sentence",
    "status",
]


class Outcome(NamedTuple):
    """How a run ended."""

    plan: Plan
    failures: tuple[Ended, ...]
    left: tuple[Ended, ...]
    """Cells that the study's limits leave for another run."""
    computed: int
    reused: int


def plan(file: StudyFile) -> Plan:
    """The cells of a study. Raises StudyError."""
    facts = resolve(file)
    try:
        return expand(file.study, facts)
    except StudyError as fault:
        raise StudyError(f"{file.path}: {fault}") from fault


def status(planned: Plan, store: Store) -> Standing:
    """How the store stands against the plan."""
    return standing(planned, {slug: record.inputs for slug, record in store.records().items()})


def run(file: StudyFile, store: Store, mirror: str | None, reporter: Reporter, *, replace: bool = False) -> Outcome:
    """Run a study to its end; a Ray session must be there.

    Raises StudyError, TaskError or StoreError before anything is computed; `replace` computes stale cells anew.
    """
    # Torch and Ray take seconds to import, and whoever plans needs neither.
    from app.stages.analysing import analyse
    from app.stages.computing import compute

    planned = plan(file)
    command = _command(file, store, mirror)
    if mirror is not None:  # workers have a working folder of their own
        mirror = str(Path(mirror).resolve())
    store.check(file.study.name)
    with store.exclusive():
        store.tidy()
        for slug, flaw in store.survey().flaws.items():
            logging.getLogger(__name__).warning("%s; %s is computed anew", flaw, slug)
            store.delete_record(slug)
        found = status(planned, store)
        if found.stale:
            if not replace:
                raise StoreError(stale_sentence(found, store))
            for cell, _ in found.stale:
                store.delete_record(cell.slug)
        to_do = {cell.slug for cell in found.new} | {cell.slug for cell, _ in found.stale}
        cells = [cell for cell in planned.cells if cell.slug in to_do]
        feasible(cells)
        store.keep(file.study.name, file.text, file.path, command)
        reporter.begin(cells, found.reused)
        failed, left = compute(planned, to_do, store, mirror, reporter)
        evaluated = store.records("evaluate")
        if evaluated or not (failed or left):
            analyse(planned, store, failed)
        elif left and not failed:
            raise CellError(f"nothing was computed: {left[0].reason}")
    done = len(to_do) - len(failed) - len(left)
    return Outcome(planned, tuple(failed), tuple(left), done, len(found.reused))


def _command(file: StudyFile, store: Store, mirror: str | None) -> str:
    """The run as a reader may type it, with the paths that were given."""
    words, here, root = ["fewtune", "run", str(file.path)], Path.cwd(), store.root
    if store.local is not None and store.local.is_relative_to(here):
        root = str(store.local.relative_to(here))
    if root != f"stores/{file.study.name}":
        words += ["--store", root]
    return shlex.join(words + (["--data-mirror", mirror] if mirror else []))


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
    cells = ", ".join(counted(count, f"{kind} cell") for kind, count in kinds.items())
    most = sorted(changes, key=lambda line: -changes[line])
    what = "; ".join(most[:3]) + (f"; and {len(most) - 3} more" if len(most) > 3 else "")
    made = "was made" if len(found.stale) == 1 else "were made"
    return (
        f"{cells} in {store.root} {made} from other inputs ({what}): run again with --replace to compute them anew, "
        f"or give another --store"
    )
