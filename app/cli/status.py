"""`fewtune status`: how a study stands, from its store, once or until its run ends."""

import json
import shlex
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.console import err, out
from app.cli.options import Address, ClusterStore
from app.cli.remote import address_of, target_of
from app.errors import FewTuneError, InputError, StoreError, TargetError

if TYPE_CHECKING:
    from app.cli.standing import View
    from app.launch.overview import Overview
    from app.launch.remote import Job
    from app.store import Store

_EVERY = 5.0  # seconds between two looks of `--watch`
_BEGINS = 1.0  # seconds between two looks for a run that has not begun
_SILENT = 30.0  # seconds without a beat that are worth a word: six beats


class _Place(NamedTuple):
    """What `status` is to show."""

    root: str
    study: Path | None
    """The study file, where the user named one."""


def status(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY|STORE]", help="A study file, the name of a study, or a store.", show_default=False
        ),
    ] = None,
    address: Address = None,
    store: ClusterStore = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew until the run ends.")] = False,
) -> None:
    """Show how a study stands: from its store, so also when the cluster is gone."""
    from app.launch.overview import overview
    from app.store import Store

    place = _place(what, store, address)
    source = Store(place.root)
    job, url, note = _job(address, source)
    if source.header() is None:
        if not watch:
            _nothing(source, job, note)
        _await(source, address)
        job, url, note = _job(address, source)
    seen = overview(source)
    view = _view(seen, job, note, _retry(place, seen, url), 0.0, _estimate(source, seen))
    if watch:
        _watch(source, view, address, as_json)
        return
    _show(view, as_json)


def _place(what: str | None, store: str | None, address: str | None) -> _Place:
    """The store to show. Raises InputError where nothing names one."""
    from app.launch import profile

    given = profile.read()
    if what and Path(what).is_file():
        from app.study import load

        name = load(what).study.name
        return _Place(store or given.store_of(name) or f"stores/{name}", Path(what))
    if what:
        named = "/" not in what and not Path(what).exists()
        return _Place((given.store_of(what) or f"stores/{what}") if named else what, None)
    root = store or (given.store if given.store and "{study}" not in given.store else None)
    if root:
        return _Place(root, None)
    if address_of(address):
        job = target_of(address).named(None)
        return _Place(job.store, None)
    raise InputError("of what? Name a study or a store, or give --address")


def _job(address: str | None, store: "Store") -> "tuple[Job | None, str | None, str]":
    """The newest job of a store, the cluster's URL, and why it could not be asked."""
    if not address_of(address):
        return None, None, ""
    try:
        target = target_of(address)
        return next((job for job in target.jobs() if job.store == store.root), None), target.url, ""
    except TargetError as fault:
        return None, None, str(fault)


def _nothing(store: "Store", job: "Job | None", note: str) -> None:
    """Say that a store has nothing yet, or raise StoreError if it is none."""
    if job is None:
        told = f" ({note})" if note else ""
        raise StoreError(f"{store.root} is not a FewTune store, or cannot be reached from here{told}")
    out.print(f"{job.study}  {store.root}", style="dim", soft_wrap=True)
    out.print(f"the job {job.id} is {job.status.lower()}; nothing is in the store yet", soft_wrap=True)
    raise typer.Exit(1 if job.status == "FAILED" else 0)


def _await(store: "Store", address: str | None) -> None:
    """Wait until a run has begun in a store; a job takes some seconds to get there."""
    err.print(f"nothing is in {store.root} yet: waiting for a run to begin there (Ctrl-C ends this)", soft_wrap=True)
    while store.header() is None:
        job, _, note = _job(address, store)
        if job and job.ended:
            _nothing(store, job, note)
        time.sleep(_BEGINS)


def _retry(place: _Place, seen: "Overview", url: str | None) -> str:
    study = shlex.quote(str(place.study or f"{seen.study}.yaml"))
    store = shlex.quote(seen.store)
    return f"fewtune submit {study} --store {store} --address {url}" if url else f"fewtune run {study} --store {store}"


def _view(seen: "Overview", job: "Job | None", note: str, retry: str, silent: float, estimate: str) -> "View":
    from app.cli.standing import View

    return View(seen, job, silent, retry, note, estimate)


def _estimate(store: "Store", seen: "Overview") -> str:
    """The correlation of the pairs that are finished, in a line; empty where there is none, or no engine here."""
    try:
        from app.analysis.provisional import provisional, sentence
    except ImportError:
        return ""
    from app.study import parse

    text = store.read_text("study.yaml")
    if text is None or not seen.scores:
        return ""
    try:
        study = parse(text, Path("study.yaml")).study
        analysis = study.analysis.model_copy(update={"wording": study.analysis.wording or study.wordings[0]})
        found = provisional([row for rows in seen.scores.values() for row in rows], analysis)
    except FewTuneError as fault:
        return f"no estimate yet: {fault}"
    return sentence(found, seen.planned_pairs()) if found else ""


def _show(view: "View", as_json: bool) -> None:
    from app.cli.standing import as_json as plain
    from app.cli.standing import render

    if as_json:
        print(json.dumps(plain(view), indent=1))
    else:
        out.print(render(view, out.width))


def _watch(store: "Store", view: "View", address: str | None, as_json: bool) -> None:
    """Show the view anew until the run ends; a run lives while its beat moves, whatever the clocks say."""
    from rich.live import Live

    from app.cli.standing import render
    from app.launch.overview import overview

    beat, heard = _beat(view), time.monotonic()
    drawn = out.is_terminal and not as_json
    with Live(console=out, auto_refresh=False) if drawn else nullcontext() as live:
        while True:
            if live:
                live.update(render(view, out.width), refresh=True)
            else:
                _show(view, as_json)
            if view.ended:
                return
            time.sleep(_EVERY)
            job, _, note = _job(address, store)
            seen = overview(store, view.overview)
            estimate = view.estimate if len(seen.scores) == len(view.overview.scores) else _estimate(store, seen)
            if _beat(view._replace(overview=seen)) != beat:
                beat, heard = _beat(view._replace(overview=seen)), time.monotonic()
            gone = time.monotonic() - heard
            view = _view(seen, job, note, view.retry, gone if gone > _SILENT else 0.0, estimate)


def _beat(view: "View") -> tuple[str, int] | None:
    state = view.overview.state
    return (state.run, state.beat) if state else None
