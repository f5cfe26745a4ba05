"""`fewtune submit`, `status`, `logs`, `stop` and `gather`: a study on a cluster, driven from a laptop."""

import json
import shlex
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.text import Text

from app.cli.console import err, out
from app.cli.study import StudyPath
from app.errors import InputError, StoreError, TargetError

if TYPE_CHECKING:
    from app.cli.standing import View
    from app.launch.gathering import Gathered
    from app.launch.overview import Overview
    from app.launch.remote import Job, Target
    from app.store import Store

Address = Annotated[
    str | None,
    typer.Option(
        "--address", envvar="FEWTUNE_ADDRESS", show_default=False,
        help="URL of the cluster's dashboard, http://HOST:8265; left out: the profile's.",
    ),
]  # fmt: skip
Root = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="FEWTUNE_STORE", show_default=False,
        help="Where artefacts go, as the cluster reaches it: s3://, gs://, file:///MOUNTED; left out: the profile's.",
    ),
]  # fmt: skip
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env", show_default=False, metavar="NAME",
        help="Pass this variable on to the job, for example of storage credentials; may be repeated. "
        "Who may use the cluster's dashboard can read it.",
    ),
]  # fmt: skip
JobName = Annotated[
    str | None, typer.Argument(metavar="[JOB]", help="Submission id, or name of a study; left out: the newest job.")
]
_EVERY = 5.0  # seconds between two looks of `status --watch`
_SILENT = 30.0  # seconds without a beat that are worth a word: six beats


class _Place(NamedTuple):
    """What `status` is to show."""

    root: str
    study: Path | None
    """The study file, where the user named one."""


def submit(
    study: StudyPath,
    address: Address = None,
    store: Root = None,
    mirror: Annotated[
        str | None,
        typer.Option("--data-mirror", help="Folder of Parquet files, as every node has it.", show_default=False),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Compute stale cells anew.")] = False,
    env: Env = None,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and show what the job prints.")] = False,
) -> None:
    """Submit a study to a cluster; a job that already computes it is followed instead of doubled."""
    from app.study import load

    file = load(study)

    from app.launch import profile

    given = profile.read()
    place = store or given.store_of(file.study.name)
    if not place:
        raise StoreError(f"where are the artefacts to go? Give --store, or write store = ... into {profile.path()}")
    target = _target(address)
    done = target.submit(file, place, mirror, replace=replace, env=env or ())
    if done.new:
        out.print(f"submitted {done.id}, {done.bytes / 1e6:.1f} MB", soft_wrap=True)
    else:
        out.print(f"{done.id} computes this already: nothing was submitted", soft_wrap=True)
    there = f"--address {target.url}"
    commands = (
        ("dashboard", target.url),
        ("how it stands", f"fewtune status {shlex.quote(str(study))} --store {shlex.quote(place)} {there}"),
        ("what it prints", f"fewtune logs {done.id} -f {there}"),
        ("end it", f"fewtune stop {done.id} {there}"),
        ("its tables", f"fewtune gather {shlex.quote(place)} --out {file.study.name}-tables {there}"),
    )
    for what, command in commands:
        out.print(Text(f"{what:<15}{command}"), soft_wrap=True)
    if follow:
        _follow(target, done.id)


def status(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY|STORE]", help="A study file, the name of a study, or a store.", show_default=False
        ),
    ] = None,
    address: Address = None,
    store: Root = None,
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
        _nothing(source, job, note)
    seen = overview(source)
    view = _view(seen, job, note, _retry(place, seen, url), 0.0)
    if watch:
        _watch(source, view, address, as_json)
        return
    _show(view, as_json)


def logs(
    job: JobName = None,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends, with its exit status.")] = False,
) -> None:
    """Print what a job has printed."""
    target = _target(address)
    found = target.named(job)
    if follow:
        _follow(target, found.id)
        return
    sys.stdout.write(target.log(found.id))


def stop(job: JobName = None, address: Address = None) -> None:
    """End a job; what was finished stays in its store, and submitting again goes on from there."""
    target = _target(address)
    found = target.named(job)
    if not found.ended:
        target.stop(found.id)
        for _ in range(120):
            found = target.job(found.id)
            if found.ended:
                break
            time.sleep(0.5)
    if not found.ended:
        raise TargetError(f"{found.id} was asked to end and is still {found.status.lower()}: ask again in a minute")
    out.print(f"{found.id} {found.status.lower()}; what was finished is kept in {found.store}", soft_wrap=True)


def gather(
    store: Annotated[str, typer.Argument(help="Folder or URI of a store.", show_default=False)],
    to: Annotated[Path, typer.Option("--out", help="Folder of this machine.", show_default=False)],
    address: Address = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Through the cluster, even if the store can be reached from here.")
    ] = False,
    responses: Annotated[bool, typer.Option("--responses/--no-responses", help="Also the row for each item.")] = True,
    env: Env = None,
) -> None:
    """Bring tables and report of a store to this machine, checked; run again, it brings what changed."""
    made = _gathered(store, to, address, dashboard, responses, tuple(env or ()))
    size = sum(file.bytes for file in made.files.values())
    done, planned = sum(made.done.values()), sum(made.planned.values())
    out.print(f"{len(made.files)} files, {size / 1e6:.1f} MB, of {done} of {planned} cells, in {to}", soft_wrap=True)
    for slug in made.missing[:8]:
        out.print(Text(f"  missing {slug}"), soft_wrap=True)
    if len(made.missing) > 8:
        out.print(f"  and {len(made.missing) - 8} more: all are in {to / 'gathered.json'}", soft_wrap=True)
    mixed = {package: found for package, found in made.versions.items() if len(found) > 1 and package != "platform"}
    if mixed:
        told = "; ".join(f"{package} {', '.join(found)}" for package, found in mixed.items())
        err.print(f"[yellow]cells were computed by several versions:[/] {told}", soft_wrap=True)
    if "report/index.html" in made.files:
        out.print(f"report  {to / 'report/index.html'}", soft_wrap=True)


# --- the cluster -----------------------------------------------------------------------------------------------


def _address(address: str | None) -> str | None:
    from app.launch import profile

    return address or profile.read().address


def _target(address: str | None) -> "Target":
    """The cluster. Raises TargetError where none is named, or it does not answer as it should."""
    given = _address(address)
    if not given:
        from app.launch import profile

        raise TargetError(
            f"which cluster? Give --address, set FEWTUNE_ADDRESS, or write address = ... into {profile.path()}"
        )

    from app.launch.remote import Target

    return Target(given)


def _follow(target: "Target", job: str) -> None:
    """Show what a job prints, and end with its exit status; Ctrl-C leaves the job alone."""

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    try:
        ended = target.follow(job, write)
    except KeyboardInterrupt:
        err.print(f"\nthe job goes on; `fewtune logs {job} -f` shows it again", soft_wrap=True)
        raise typer.Exit(0) from None
    err.print(f"{ended.id} {ended.status.lower()}", soft_wrap=True)
    if ended.status != "SUCCEEDED":
        if ended.exit_code not in (1, 2) and ended.message:
            err.print(Text(ended.message.strip().splitlines()[0]), soft_wrap=True)
        raise typer.Exit(ended.exit_code if ended.exit_code in (1, 2) else 1)


def _gathered(
    store: str, to: Path, address: str | None, dashboard: bool, responses: bool, env: tuple[str, ...]
) -> "Gathered":
    """From the store, or where that cannot be reached from here, through the cluster."""
    from app.launch import gathering
    from app.store import Store

    given = _address(address)
    if not dashboard:
        try:
            source = Store(store)
            if source.header() is not None or not given:
                return gathering.direct(source, to, responses=responses)
        except (StoreError, OSError) as fault:
            if not given:
                raise
            err.print(Text(f"{store} is not reached from here ({fault}): through the cluster"), soft_wrap=True)
    return gathering.through(_target(address), store, to, responses=responses, env=env)


# --- how it stands ---------------------------------------------------------------------------------------------


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
    if _address(address):
        job = _target(address).named(None)
        return _Place(job.store, None)
    raise InputError("of what? Name a study or a store, or give --address")


def _job(address: str | None, store: "Store") -> "tuple[Job | None, str | None, str]":
    """The newest job of a store, the cluster's URL, and why it could not be asked."""
    if not _address(address):
        return None, None, ""
    try:
        target = _target(address)
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


def _retry(place: _Place, seen: "Overview", url: str | None) -> str:
    study = shlex.quote(str(place.study or f"{seen.study}.yaml"))
    store = shlex.quote(seen.store)
    return f"fewtune submit {study} --store {store} --address {url}" if url else f"fewtune run {study} --store {store}"


def _view(seen: "Overview", job: "Job | None", note: str, retry: str, silent: float) -> "View":
    from app.cli.standing import View

    return View(seen, job, silent, retry, note)


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
            if _beat(view._replace(overview=seen)) != beat:
                beat, heard = _beat(view._replace(overview=seen)), time.monotonic()
            gone = time.monotonic() - heard
            view = _view(seen, job, note, view.retry, gone if gone > _SILENT else 0.0)


def _beat(view: "View") -> tuple[str, int] | None:
    state = view.overview.state
    return (state.run, state.beat) if state else None
