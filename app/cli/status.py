"""`fewtune status`: how a study stands, from its store, once or until its run ends."""

import json
import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.console import err, out
from app.cli.options import Address, ClusterStore, Env
from app.cli.remote import HURRIED, address_of, target_of, why
from app.errors import InputError, StoreError, TargetError

if TYPE_CHECKING:
    from app.cli.standing import View
    from app.launch.overview import Look
    from app.launch.relay import Relay
    from app.launch.remote import Job, Target
    from app.store import Store

    Looker = Callable[[Look | None], Look | None] | Relay

_EVERY = 5.0  # seconds between two looks of `--watch`
_BEGINS = 1.0  # seconds between two looks for a run that has not begun
_SILENT = 30.0  # seconds without a beat that are worth a word: six beats


class _Place(NamedTuple):
    """What `status` is to show."""

    root: str
    study: Path | None
    """The study file, where the user named one."""


class _Asked(NamedTuple):
    """What the cluster says of a store."""

    job: "Job | None" = None
    """The newest that computes there, or did."""
    target: "Target | None" = None
    note: str = ""
    """Why the cluster could not be asked."""


def status(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY|STORE]", help="A study file, the name of a study, or a store.", show_default=False
        ),
    ] = None,
    address: Address = None,
    store: ClusterStore = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it for programs; with --watch a document a line.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew until the run ends.")] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Through the cluster, even if the store can be reached from here.")
    ] = False,
    env: Env = None,
) -> None:
    """Show how a study stands: from its store, so also when the cluster is gone."""
    from app.launch.relay import Relay
    from app.store import Store

    place = _place(what, store, address)
    source = Store(place.root, retries=HURRIED)
    asked = _ask(address, source.root)
    looker = _looker(source, asked, dashboard, tuple(env or ()))
    try:
        seen = _first(looker, source, asked)
        if seen is None:
            if not watch:
                _nothing(source, asked, as_json)
            seen = _await(looker, source, address, as_json)
            asked = _ask(address, source.root)
        view = _view(seen, asked, _retry(place, seen, asked, source), 0.0)
        if watch:
            _watch(looker, view, address, as_json)
        else:
            _show(view, as_json)
    finally:
        if isinstance(looker, Relay):
            looker.close()


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
        return _Place((store or given.store_of(what) or f"stores/{what}") if named else what, None)
    root = store or (given.store if given.store and "{study}" not in given.store else None)
    if root:
        return _Place(root, None)
    if address_of(address):
        job = target_of(address).named(None)
        return _Place(job.store, None)
    raise InputError("of what? Name a study or a store, or give --address")


def _ask(address: str | None, root: str) -> _Asked:
    """The newest job of a store; no cluster is a note, not a fault."""
    if not address_of(address):
        return _Asked()
    try:
        target = target_of(address)
        return _Asked(next((job for job in target.jobs() if job.store == root), None), target)
    except TargetError as fault:
        return _Asked(note=str(fault))


def _looker(source: "Store", asked: _Asked, dashboard: bool, env: tuple[str, ...]) -> "Looker":
    """What looks at the store: this machine, or the cluster where only that reaches it."""
    from app.launch.overview import look
    from app.launch.relay import Relay
    from app.store import Store

    if not dashboard:
        try:
            if source.header() is not None or not _elsewhere(source, asked):
                return partial(look, Store(source.root))
            told = "is empty here"
        except (StoreError, OSError) as fault:
            told = f"is not reached from here ({why(fault)})"
            if asked.job is None:
                raise StoreError(f"{source.root} {told}{_noted(asked)}") from fault
        err.print(f"{source.root} {told}: through the cluster", soft_wrap=True, markup=False)
    if asked.target is None:
        raise TargetError(asked.note or "through which cluster? Give --address")
    return Relay(asked.target, source.root, env)


def _elsewhere(source: "Store", asked: _Asked) -> bool:
    """Whether a folder in which nothing is to be seen from here may have it on the nodes of the cluster."""
    if source.local is None or asked.job is None or asked.target is None or asked.job.status == "PENDING":
        return False
    return asked.job.status == "SUCCEEDED" or not asked.target.here


def _first(looker: "Looker", source: "Store", asked: _Asked) -> "Look | None":
    """The first look. What a failed job said is worth more than that its store cannot be read."""
    try:
        return looker(None)
    except (StoreError, TargetError, OSError):
        if asked.job is None or not asked.job.fault:
            raise
        return None


def _nothing(source: "Store", asked: _Asked, as_json: bool) -> None:
    """Say that a store has nothing yet, or raise StoreError if it is none."""
    from app.cli.standing import unbegun

    job = asked.job
    if job is None:
        raise StoreError(f"{source.root} is not a FewTune store, or cannot be reached from here{_noted(asked)}")
    line = f"{unbegun(job)}; nothing is in the store"
    if as_json:
        about = {"id": job.id, "status": job.status, "fault": job.fault}
        found = {"study": job.study, "store": source.root, "phase": None, "line": line, "ended": job.ended}
        print(json.dumps(found | {"job": about}))
    else:
        out.print(f"{job.study}  {source.root}", style="dim", soft_wrap=True, markup=False)
        out.print(line, soft_wrap=True, markup=False)
    raise typer.Exit(1 if job.status == "FAILED" else 0)


def _noted(asked: _Asked) -> str:
    return f" ({asked.note})" if asked.note else ""


def _await(looker: "Looker", source: "Store", address: str | None, as_json: bool) -> "Look":
    """Wait until a run has begun in a store; a job takes some seconds to get there."""
    err.print(f"nothing is in {source.root} yet: waiting for a run to begin there (Ctrl-C ends this)", soft_wrap=True)
    while True:
        asked = _ask(address, source.root)
        seen = _first(looker, source, asked)
        if seen is not None:
            return seen
        if asked.job and asked.job.ended:
            _nothing(source, asked, as_json)
        time.sleep(_BEGINS)


def _retry(place: _Place, seen: "Look", asked: _Asked, source: "Store") -> str:
    """The command that goes on: the one that began it, or the like where the run did not keep it."""
    state = seen.overview.state
    if state and state.retry:
        return state.retry
    kept = source.local / "study.yaml" if source.local else None
    study = place.study or (kept if kept and kept.is_file() else None) or Path(f"{seen.overview.study}.yaml")
    command = ["fewtune", "submit" if asked.target else "run", str(study), "--store", seen.overview.store]
    return shlex.join([*command, *(["--address", asked.target.url] if asked.target else [])])


def _view(seen: "Look", asked: _Asked, retry: str, silent: float) -> "View":
    from app.cli.standing import View

    return View(seen.overview, asked.job, silent, retry, asked.note, seen.estimate)


def _show(view: "View", as_json: bool, indent: int | None = 1) -> None:
    from app.cli.standing import again, render
    from app.cli.standing import as_json as plain

    if as_json:
        print(json.dumps(plain(view), indent=indent), flush=True)
    else:
        out.print(render(view, out.width))
        if told := again(view):
            out.print(told, soft_wrap=True, markup=False)


def _watch(looker: "Looker", view: "View", address: str | None, as_json: bool) -> None:
    """Show the view anew until the run ends; a run lives while its beat moves, whatever the clocks say."""
    from rich.live import Live

    from app.cli.standing import again, render
    from app.launch.overview import Look

    beat, heard = _beat(view), time.monotonic()
    drawn = out.is_terminal and not as_json
    with Live(console=out, auto_refresh=False) if drawn else nullcontext() as live:
        while True:
            if live:
                live.update(render(view, out.width), refresh=True)
            else:
                _show(view, as_json, indent=None)
            if view.ended:
                if live and (told := again(view)):
                    out.print(told, soft_wrap=True, markup=False)
                return
            time.sleep(_EVERY)
            asked = _ask(address, view.overview.store)
            before = Look(view.overview, view.estimate)
            fresh = _view(looker(before) or before, asked, view.retry, 0.0)
            if _beat(fresh) != beat:
                beat, heard = _beat(fresh), time.monotonic()
            gone = time.monotonic() - heard
            view = fresh._replace(silent=gone if gone > _SILENT else 0.0)


def _beat(view: "View") -> tuple[str, int] | None:
    state = view.overview.state
    return (state.run, state.beat) if state else None
