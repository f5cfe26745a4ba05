"""What a job takes along: the code of this project, as it lies here, the study file, and what it is told.

The walk is Ray's own, so .gitignore and .rayignore hold as in `ray job submit`. The files are laid into a folder of
their own, because the study file may lie anywhere.
"""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from ray._private import ray_constants
from ray._private.runtime_env import packaging

from app.errors import StoreError, StudyError, TargetError
from app.study import CheckpointBase, GgufBase, StudyFile

STUDY = "study.yaml"
"""The study file within the upload."""
_LEFT_OUT = (".?*", "tests", "docs", "__pycache__", "*.egg-info")
"""What no job needs; the first is .git, .venv and the caches of tools."""
_PACKAGES = ("app", "jobs")
_CAP = cast(int, ray_constants.DASHBOARD_CLIENT_MAX_SIZE)  # bytes; the dashboard refuses more (HTTP 413)
_HEADER = 256  # bytes that a zip spends on an entry, at most: Ray does not compress
_LARGEST = 3  # entries named where there is too much
_SECRET = ("secret", "password", "token", "access_key")  # in the query of a store's URI


def root() -> Path:
    """The folder that holds the project's packages: a checkout, or where pip has put them."""
    return Path(__file__).parents[2]


def files(base: Path) -> dict[str, int]:
    """Path below `base` -> bytes, of what a job takes along. Raises TargetError where that is over the cap."""
    checkout = (base / "pyproject.toml").is_file()
    found: dict[str, int] = {}

    def keep(path: Path) -> None:
        if path.is_file():
            found[path.relative_to(base).as_posix()] = path.stat().st_size

    def store(path: Path) -> bool:
        return (path / "store.json").is_file()

    private = cast(Any, packaging)
    for start in [base] if checkout else [base / name for name in _PACKAGES]:
        left_out: list[Callable[[Path], bool]] = [private._get_excludes(base, list(_LEFT_OUT)), store]
        private._dir_travel(start, left_out, keep, include_gitignore=True, logger=logging.getLogger(__name__))
    total = sum(found.values()) + _HEADER * len(found)
    if total >= _CAP:
        raise TargetError(
            f"the upload would be {_mib(total)}, the cluster takes less than {_mib(_CAP)}; the largest are "
            f"{largest(found)} below {base}: move them away, or list them in .gitignore"
        )
    return found


@contextmanager
def staged(study: str | None = None, base: Path | None = None) -> Generator[Path]:
    """A folder with all that a job takes along, and the text of a study as `study.yaml`; gone after the block."""
    base = base or root()
    wanted = files(base)
    with tempfile.TemporaryDirectory(prefix="fewtune-upload-") as name:
        for relative in wanted:
            target = Path(name, relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / relative, target)
        if study is not None:
            Path(name, STUDY).write_text(study)
        yield Path(name)


def tree() -> str:
    """The state of the working tree as `git describe` tells it; empty where there is none."""
    command = ["git", "-C", str(root()), "describe", "--always", "--tags", "--dirty"]
    if not (root() / ".git").exists():  # pip may have put the packages into somebody else's repository
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - own words
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def place(store: str, here: bool) -> str:
    """The store as the cluster is told it. Raises StoreError for one that it cannot reach, or that holds a secret."""
    if "://" in store:
        parts = urlsplit(store)
        secret = next((name for name, _ in parse_qsl(parts.query) if any(word in name for word in _SECRET)), None)
        if parts.password or secret:
            raise StoreError(
                f"the store's URI holds {secret or 'a password'}, which everybody would see at the dashboard: "
                f"leave it out, and pass variables on with --env NAME"
            )
        base, mark, query = store.partition("?")
        return f"{base.rstrip('/')}{mark}{query}"  # as the store calls itself, by which its job is found again
    if not here:
        raise StoreError(
            f"the store {store} is a path of this machine, which the cluster cannot reach: give object storage "
            f"(s3://, gs://), or file:///FOLDER for one that every node has mounted"
        )
    path = Path(store).expanduser().resolve()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise StoreError(f"the store {path} cannot be written to: give another --store")
    return str(path)


def portable(file: StudyFile, mirror: str | None) -> None:
    """Raise StudyError for files that only this machine has, TargetError for a mirror of that kind."""
    faults: list[str] = []
    for index, base in enumerate(file.study.bases):
        if isinstance(base, CheckpointBase | GgufBase) and "://" not in base.path and not Path(base.path).is_absolute():
            faults.append(f"{file.at('bases', index, 'path')} {base.path} is relative to this file, which lies here")
    scored = file.study.answers.bertscore
    if scored and "://" not in scored.encoder and (file.path.parent / scored.encoder).is_dir():
        faults.append(f"{file.at('answers', 'bertscore')} {scored.encoder} is a folder of this machine")
    if faults:
        hint = "the cluster does not have it: give a path that every node has mounted, or a hub id"
        raise StudyError("\n".join(f"{fault}; {hint}" for fault in faults))
    if mirror and not Path(mirror).is_absolute():
        raise TargetError(f"the data mirror {mirror} must be an absolute path that every node of the cluster has")


def variables(names: Sequence[str]) -> dict[str, str]:
    """Variables of this process by name. Raises TargetError for one that is not set, and for the cluster's token."""
    for name in names:
        if name.startswith("RAY_AUTH_"):
            raise TargetError(f"{name} is not passed on: the cluster has its token, and jobs would show it")
        if name not in os.environ:
            raise TargetError(f"--env {name}: no such variable is set here")
    return {name: os.environ[name] for name in names}


def sizes(folder: Path) -> dict[str, int]:
    """Path below a folder -> bytes."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}


def largest(found: Mapping[str, int]) -> str:
    """The largest entries, folders of the second level as wholes."""
    entries: dict[str, int] = {}
    for path, size in found.items():
        entry = "/".join(path.split("/")[:2])
        entries[entry] = entries.get(entry, 0) + size
    most = sorted(entries, key=lambda entry: -entries[entry])[:_LARGEST]
    return ", ".join(f"{entry} ({_mib(entries[entry])})" for entry in most)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
