"""Do this machine and a cluster fit together: what each runs, and whether both see the same store."""

import contextlib
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

from app.errors import FewTuneError
from app.identity import versions
from app.store import Store

if TYPE_CHECKING:
    from app.launch.remote import Target


class Difference(NamedTuple):
    """A package that is not the same on both sides."""

    package: str
    here: str
    """Empty: not installed."""
    there: str


class Checkup(NamedTuple):
    """What was found."""

    here: Mapping[str, str]
    there: Mapping[str, str]
    differences: tuple[Difference, ...]
    store_here: str
    """Why this machine cannot write to the store; empty if it can."""
    store_there: str
    """Why the cluster cannot, or that it sees another; empty if it can."""


def checkup(target: "Target", store: str | None, env: Sequence[str] = ()) -> Checkup:
    """Compare both sides, by way of a small job; `store` None: leave storage out. Raises TargetError."""
    with _left(store) as (name, trouble):
        asked = [store, name] if store else []
        _, answer = target.ask("jobs.checkup", *asked, env=env, patience=120.0)
    here, there = versions(), cast(Mapping[str, str], answer["versions"])
    differences = tuple(
        Difference(name, here.get(name, ""), there.get(name, ""))
        for name in dict.fromkeys((*here, *there))
        if here.get(name) != there.get(name) and name not in ("platform", "fewtune")
    )
    return Checkup(here, there, differences, trouble, cast(str, answer["store"]))


def inside(store: str | None = None, name: str = "") -> dict[str, object]:
    """The cluster's side: versions, and why the file `name`, which the other side left in the store, is not there."""
    return {"versions": versions(), "store": _trouble(store, name) if store else ""}


def _trouble(store: str, name: str) -> str:
    """Write a file beside the other side's, then look for that."""
    with _left(store) as (_, trouble):
        if trouble:
            return trouble
        if name and Store(store).read_text(name) is None:
            return f"{store} is another place on the cluster than here"
    return ""


@contextmanager
def _left(store: str | None) -> Generator[tuple[str, str]]:
    """The name of a file that lies in the store for the block, and why it cannot be written."""
    name = f"doctor-{uuid.uuid4().hex[:8]}.tmp"
    if store is None:
        yield "", ""
        return
    try:
        place = Store(store)
        new = place.local is not None and not place.local.exists()
        place.write_text(name, "")
    except (FewTuneError, OSError) as fault:
        yield "", str(fault)
        return
    try:
        yield name, ""
    finally:
        with contextlib.suppress(OSError):
            place.filesystem.delete_file(place.path(name))
            if new and place.local:
                place.local.rmdir()
