"""`fewtune doctor`: is this machine fit, and a cluster with it; what to do where they are not."""

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, cast

import typer
from rich.table import Table
from rich.text import Text

from app.cli.console import out
from app.cli.options import Address, Env
from app.cli.remote import address_of
from app.errors import TargetError
from app.grammar import counted
from app.identity import versions

if TYPE_CHECKING:
    from app.launch.checkup import Checkup
    from app.launch.remote import Target

State = Literal["pass", "warn", "fail"]
_COLOURS: dict[State, str] = {"pass": "green", "warn": "yellow", "fail": "red"}
_NEEDED = ("torch", "transformers", "tokenizers", "peft", "ray", "datasets", "pyarrow", "scipy")
_DISK, _MEMORY = 5e9, 4e9  # bytes below which the embedded study may not fit


class Finding(NamedTuple):
    """One thing looked at."""

    state: State
    what: str
    found: str
    remedy: str = ""


def doctor(
    store: Annotated[
        str | None, typer.Option(envvar="FEWTUNE_STORE", help="Where artefacts are to go.", show_default=False)
    ] = None,
    start_ray: Annotated[bool, typer.Option("--ray/--no-ray", help="Start Ray for a moment.")] = True,
    address: Address = None,
    here: Annotated[
        bool, typer.Option("--here", help="At this machine alone, though the profile names a cluster.")
    ] = False,
    env: Env = None,
) -> None:
    """Look at this machine: versions, disk, memory, GPU, Ray; or at a cluster, and how both fit, where one is named."""
    address = None if here else address_of(address)
    if address:
        findings = [_python(), _client(), *_cluster(address, store, env or ())]
    else:
        findings = [_python(), *_packages(), _disk(store or "stores"), _memory(), _gpu(), _hub()]
    if start_ray and not address and importlib.util.find_spec("ray"):
        findings.append(_ray())
    table = Table(box=None, show_header=False)
    for finding in findings:
        colour = _COLOURS[finding.state]
        table.add_row(
            Text(finding.state, style=colour), finding.what, finding.found, Text(finding.remedy, style=colour)
        )
    out.print(table)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def _python() -> Finding:
    found = sys.version.split()[0]
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("pass", "python", found)
    return Finding("fail", "python", found, "install Python 3.11, 3.12 or 3.13")


def _packages() -> list[Finding]:
    have = versions()
    missing = [name for name in _NEEDED if name not in have]
    shown = ", ".join(f"{name} {have[name]}" for name in _NEEDED if name in have)
    found = [Finding("pass", "packages", shown)]
    if missing:
        found.append(Finding("fail", "missing", ", ".join(missing), "pip install 'fewtune[engine]'"))
    for extra, module in (("gguf", "gguf"), ("qlora", "bitsandbytes")):
        if not importlib.util.find_spec(module):
            found.append(Finding("warn", extra, "not installed", f"pip install 'fewtune[{extra}]' if a study needs it"))
    return found


def _client() -> Finding:
    """What a laptop needs to speak to a cluster."""
    have = versions()
    needed = ("ray", "pyarrow", "numpy")
    return Finding("pass", "packages", ", ".join(f"{name} {have[name]}" for name in needed if name in have))


def _cluster(address: str, store: str | None, env: Sequence[str]) -> list[Finding]:
    """The cluster: whether it answers and asks for a token, its versions against ours, storage from both sides."""
    from app.launch import checkup, probe, profile
    from app.launch.remote import Target

    given = profile.read().store
    store = store or (given if given and "{" not in given else None)
    findings: list[Finding] = []
    try:
        target = Target(address, any_version=True)
        found = f"{target.url} answers: Ray {target.versions.ray}, Python {target.versions.python or 'unknown'}"
        findings += [Finding("pass", "cluster", found), _token(target)]
        probe.check(target.url, target.versions)
        compared = checkup.checkup(target, store, env)
    except TargetError as fault:
        return [*findings, Finding("fail", "cluster", str(fault))]
    return [*findings, *_differences(compared), *(_storage(compared, store) if store else [])]


def _token(target: "Target") -> Finding:
    if not target.authenticated:
        told = "the cluster asks for none: whoever reaches it can run code on it"
        return Finding("warn", "token", told, "start its head with RAY_AUTH_MODE=token")
    if target.exposed:
        return Finding("warn", "token", "taken, but sent in the clear", "use https, or a tunnel to the head")
    return Finding("pass", "token", "taken")


def _differences(found: "Checkup") -> list[Finding]:
    absent = [name for name in _NEEDED if name not in found.there]
    if absent:
        return [
            Finding("fail", "there", f"{', '.join(absent)} missing", "put fewtune[engine] into the cluster's image")
        ]
    told = ", ".join(
        f"{name} {here or 'absent'} here, {there or 'absent'} there" for name, here, there in found.differences
    )
    if told:
        return [Finding("warn", "packages", told, "only versions of the cluster matter, to repeat a study keep them")]
    return [Finding("pass", "packages", "the same on both sides")]


def _storage(found: "Checkup", store: str) -> list[Finding]:
    sides = (("from here", found.store_here, "warn"), ("from the cluster", found.store_there, "fail"))
    remedy = "give a --store that both reach, and credentials with --env NAME"
    return [
        Finding(cast(State, worst), "store", f"{place}: {trouble}", remedy)
        if trouble
        else Finding("pass", "store", f"{store} is written {place}")
        for place, trouble, worst in sides
    ]


def _disk(store: str) -> Finding:
    if "://" in store:
        return Finding("pass", "store", store)
    folder = Path(store).resolve()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding("fail", "store", f"{folder} is not writable", "give another --store")
    free = shutil.disk_usage(folder).free
    if free < _DISK:
        return Finding("warn", "disk", f"{free / 1e9:.1f} GB free at {folder}", "free 5 GB, or give another --store")
    return Finding("pass", "disk", f"{free / 1e9:.0f} GB free at {folder}")


def _memory() -> Finding:
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = os.cpu_count() or 1
    found = f"{have / 1e9:.1f} GB, {cores} cores"
    if have < _MEMORY:
        return Finding("warn", "machine", found, "4 GB are needed for the embedded study")
    return Finding("pass", "machine", found)


def _gpu() -> Finding:
    if not importlib.util.find_spec("torch"):
        return Finding("warn", "GPU", "unknown without torch")
    import torch

    if not torch.cuda.is_available():
        return Finding("warn", "GPU", "none", "fine for the embedded study; models above 1 B parameters need one")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Finding("pass", "GPU", ", ".join(names))


def _hub() -> Finding:
    if os.environ.get("FEWTUNE_DATA_MIRROR"):
        return Finding("pass", "data", f"mirror {os.environ['FEWTUNE_DATA_MIRROR']}")
    try:
        socket.create_connection(("huggingface.co", 443), timeout=2).close()
    except OSError:
        return Finding(
            "warn", "hub", "not reached", "fine for the embedded study; for real data set FEWTUNE_DATA_MIRROR"
        )
    return Finding("pass", "hub", "reached")


def _ray() -> Finding:
    import ray

    from app.launch.session import session

    try:
        with session():
            resources = ray.cluster_resources()
    except Exception as fault:
        return Finding(
            "fail", "ray", f"does not start: {fault}", "free memory, or set RAY_ADDRESS to a running cluster"
        )
    return Finding(
        "pass", "ray", f"{counted(resources.get('CPU', 0), 'CPU')}, {counted(resources.get('GPU', 0), 'GPU')}"
    )
