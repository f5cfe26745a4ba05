"""`fewtune submit`, `logs`, `stop` and `gather`: a study on a cluster, driven from a laptop."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from app.cli.console import err, out
from app.cli.options import Address, ClusterStore, Env, Replace, StudyPath
from app.errors import StoreError, TargetError

if TYPE_CHECKING:
    from app.launch.gathering import Gathered
    from app.launch.remote import Target

JobName = Annotated[
    str | None, typer.Argument(metavar="[JOB]", help="Submission id, or name of a study; left out: the newest job.")
]


def submit(
    study: StudyPath,
    address: Address = None,
    store: ClusterStore = None,
    mirror: Annotated[  # no variable of the laptop: its folders are not the nodes'
        str | None,
        typer.Option("--data-mirror", help="Folder of Parquet files, as every node has it.", show_default=False),
    ] = None,
    replace: Replace = False,
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
    target = target_of(address)
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


def logs(
    job: JobName = None,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends, with its exit status.")] = False,
) -> None:
    """Print what a job has printed."""
    target = target_of(address)
    found = target.named(job)
    if follow:
        _follow(target, found.id)
        return
    sys.stdout.write(target.log(found.id))


def stop(job: JobName = None, address: Address = None) -> None:
    """End a job; what was finished stays in its store, and submitting again goes on from there."""
    target = target_of(address)
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


def address_of(address: str | None) -> str | None:
    """The URL that the user gave, or the profile's."""
    from app.launch import profile

    return address or profile.read().address


def target_of(address: str | None) -> "Target":
    """The cluster. Raises TargetError where none is named, or it does not answer as it should."""
    given = address_of(address)
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

    given = address_of(address)
    if not dashboard:
        try:
            source = Store(store)
            if source.header() is not None or not given:
                return gathering.direct(source, to, responses=responses)
        except (StoreError, OSError) as fault:
            if not given:
                raise
            err.print(Text(f"{store} is not reached from here ({fault}): through the cluster"), soft_wrap=True)
    return gathering.through(target_of(address), store, to, responses=responses, env=env)
