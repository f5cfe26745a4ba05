"""`fewtune submit`, `logs`, `stop` and `gather`: a study on a cluster, driven from a laptop."""

import re
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

HURRIED = 2
"""Retries of requests to a store that this machine may not reach at all."""
_WORDS = 120  # characters of a fault of storage that no pattern makes short
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
        out.print(f"submitted {done.id}, {done.bytes / 1e6:.1f} MB; largest: {done.largest}", soft_wrap=True)
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
    failed: Annotated[
        bool, typer.Option("--failed", help="Only what went wrong, by cause, root causes first.")
    ] = False,
) -> None:
    """Print what a job has printed."""
    target = target_of(address)
    found = target.named(job)
    if failed:
        from app.launch.progress import failures

        for line in failures(target.log(found.id)):
            out.print(Text(line), soft_wrap=True)
        if found.fault:
            out.print(Text(f"the job failed: {found.fault}"), soft_wrap=True)
        return
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
    mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Though cells were computed by several versions of what computes.")
    ] = False,
    env: Env = None,
) -> None:
    """Bring tables and report of a store to this machine, checked; run again, it brings what changed."""
    made = _gathered(store, to, address, dashboard, responses, mixed, tuple(env or ()))
    size = sum(file.bytes for file in made.files.values())
    done, planned = sum(made.done.values()), sum(made.planned.values())
    out.print(f"{len(made.files)} files, {size / 1e6:.1f} MB, of {done} of {planned} cells, in {to}", soft_wrap=True)
    for slug in made.missing[:8]:
        out.print(Text(f"  missing {slug}"), soft_wrap=True)
    if len(made.missing) > 8:
        out.print(f"  and {len(made.missing) - 8} more: all are in {to / 'gathered.json'}", soft_wrap=True)
    if made.unfinished:
        told = f"the run was {made.phase} when it last wrote: what it has not finished is not here"
        err.print(f"[yellow]{told}; gather again when `fewtune status` says that it has ended[/]", soft_wrap=True)
    if "report/index.html" in made.files:
        out.print(f"report  {to / 'report/index.html'}", soft_wrap=True)
    else:
        when = "it is made when the run ends" if made.unfinished else f"`fewtune report {shlex.quote(store)}` makes one"
        err.print(f"there is no report yet: {when}", soft_wrap=True)


def why(fault: BaseException) -> str:
    """What keeps this machine from a store, in a few words."""
    told = re.search(r"AWS Error (\w+)|HTTP status \d+|Permission denied|Not a directory", str(fault))
    return told.group().removeprefix("AWS Error ") if told else str(fault)[:_WORDS]


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
    err.print(Text(f"{ended.id} {ended.status.lower()}{f': {ended.fault}' if ended.fault else ''}"), soft_wrap=True)
    if ended.status != "SUCCEEDED":
        raise typer.Exit(ended.exit_code if ended.exit_code in (1, 2) else 1)


def _gathered(
    store: str, to: Path, address: str | None, dashboard: bool, responses: bool, mixed: bool, env: tuple[str, ...]
) -> "Gathered":
    """From the store, or where that cannot be reached from here, through the cluster."""
    from app.launch import gathering
    from app.store import Store

    given = address_of(address)
    if not dashboard:
        near = Store(store, retries=HURRIED)
        try:
            reached = near.header() is not None
        except (StoreError, OSError) as fault:
            if not given:
                remedy = "give --address of a cluster that reaches it, or mend the store's URI or credentials"
                raise StoreError(f"{near.root} is not reached from here ({why(fault)}): {remedy}") from fault
            err.print(Text(f"{near.root} is not reached from here ({why(fault)}): through the cluster"), soft_wrap=True)
            reached = False
        if reached or not given:
            return gathering.direct(Store(store), to, responses=responses, mixed=mixed)
    return gathering.through(target_of(address), store, to, responses=responses, mixed=mixed, env=env)
