"""Tables and report of a store, brought to a folder of this machine and checked: sizes, hashes, what is missing.

Straight from the store where it can be reached from here. Where it cannot, a small job gathers on the cluster, packs
the folder into parts in the head's log folder, and the dashboard hands those over. Either way `gathered.json` says
what was brought and from where; gathering again brings only what changed.
"""

import hashlib
import json
import os
import shutil
import signal
import tarfile
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from pyarrow import fs

from app.errors import StoreError, TargetError
from app.grammar import counted
from app.launch import state
from app.store import Artefact, Record, Store
from app.store.record import digest

if TYPE_CHECKING:
    from app.launch.remote import Target

MANIFEST = "gathered.json"
_FOLDERS, _FILES = ("tables", "report"), ("study.yaml",)
_RESPONSES = "tables/responses"
_NO_MATTER = frozenset(("device", "platform", "ray"))
"""Of what records name: the report audits machines pair by pair, and Ray computes nothing."""
_TRIES = 3  # of a file or part that arrives damaged
_PART = 16 << 20  # bytes that the dashboard hands over at once
_KEPT = 1800.0  # seconds that parts wait to be fetched
_BUNDLE_PATIENCE = 1800.0  # seconds for a job that reads a large store


@dataclass(frozen=True)
class Gathered:
    """What lies in the folder, as its `gathered.json` has it."""

    store: str
    """Root that it comes from."""
    study: str
    files: Mapping[str, Artefact]
    """Path below the folder -> what it must be."""
    planned: Mapping[str, int]
    """Kind -> cells of the study."""
    done: Mapping[str, int]
    """Kind -> cells with a record."""
    missing: tuple[str, ...]
    """Cells without one."""
    versions: Mapping[str, tuple[str, ...]]
    """Package -> the versions that the records name; several where machines or times differ."""
    seconds: Mapping[str, float]
    """Kind -> what its cells took."""
    phase: str = ""
    """Of the store's last run; empty where none kept a journal."""

    @property
    def unfinished(self) -> bool:
        """Whether a run was at work, or died at it, so that its tables and its report are yet to be made."""
        return bool(self.phase) and self.phase not in state.ENDED


def direct(store: Store, out: Path, *, responses: bool = True, mixed: bool = False) -> Gathered:
    """Bring tables, report and study file of a store.

    Raises StoreError where it is none, where a file arrives damaged, and, unless `mixed`, where its cells were computed
    by several versions of what computes: their scores need not be comparable.
    """
    header = store.header()
    if header is None:
        raise StoreError(f"{store.root} is not a FewTune store: give the folder or URI that `fewtune run` named")
    before = _before(out, store.root)
    records = store.records()
    if not mixed:
        _of_one_version(store, records)
    named = {path: sha256 for record in records.values() for path, sha256 in _named(record)}
    files = {path: _brought(store, path, out, before, named.get(path)) for path in _listed(store, responses)}
    made = _gathered(store, str(header["study"]), files, records)
    _finish(out, made, before)
    return made


def through(
    target: "Target", store: str, out: Path, *, responses: bool = True, mixed: bool = False, env: Sequence[str] = ()
) -> Gathered:
    """The same by way of a cluster that reaches the store. Raises TargetError or StoreError."""
    asked = [store, *([] if responses else ["--without-responses"]), *(["--allow-mixed"] if mixed else [])]
    job, answer = target.ask("jobs.bundle", *asked, env=env, patience=_BUNDLE_PATIENCE)
    try:
        with tempfile.TemporaryDirectory(prefix="fewtune-gather-") as name:
            packed, arrived = Path(name, "bundle.tar"), Path(name, "bundle")
            with packed.open("wb") as stream:
                for part in cast(list[dict[str, Any]], answer["parts"]):
                    file, expected = part["name"], Artefact(part["bytes"], part["sha256"])
                    stream.write(_part(lambda wanted=file: target.fetch(job.node, wanted), file, expected))
            with tarfile.open(packed) as bundle:
                bundle.extractall(arrived, filter="data")
            made = _read(arrived)
            if made is None:
                raise TargetError(f"what {target.url} sent of {store} has no {MANIFEST}: gather again")
            before = _before(out, made.store)
            for path, expected in made.files.items():
                if _file(arrived / path) != expected:
                    raise TargetError(f"{path} arrived damaged from {target.url}: gather again")
                _place(arrived / path, out / path)
            _finish(out, made, before)
            return made
    finally:
        target.stop(job.id)  # it removes the parts


def bundle(store: Store, logs: Path, *, responses: bool, mixed: bool, tell: Callable[[object], None]) -> None:
    """The cluster's side: gather, pack into parts below `logs`, tell their names, remove them when stopped."""
    parts: list[Path] = []
    name = f"fewtune-bundle-{uuid.uuid4().hex[:8]}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="fewtune-bundle-") as folder, suppress(KeyboardInterrupt):
        direct(store, Path(folder, "bundle"), responses=responses, mixed=mixed)
        packed = Path(folder, "bundle.tar")
        with tarfile.open(packed, "w") as archive:
            archive.add(Path(folder, "bundle"), arcname=".")
        try:
            with packed.open("rb") as stream:
                while block := stream.read(_PART):
                    parts.append(logs / f"{name}-{len(parts):04}.tar")
                    parts[-1].write_bytes(block)
            tell({"parts": [{"name": part.name, **asdict(_of(part))} for part in parts]})
            time.sleep(_KEPT)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)


def logs() -> Path:
    """The folder of this node's logs, which the dashboard hands out; a Ray session must be there."""
    from ray._private import worker

    return Path(cast(Any, worker)._global_node.get_logs_dir_path())


# --- what is there ---------------------------------------------------------------------------------------------


def _listed(store: Store, responses: bool) -> dict[str, fs.FileInfo]:
    """Path -> size and time of the files to bring."""
    found: dict[str, fs.FileInfo] = {}
    for folder in _FOLDERS:
        selector = fs.FileSelector(store.path(folder), allow_not_found=True, recursive=True)
        for info in store.filesystem.get_file_info(selector):
            path = info.path.removeprefix(store.path(""))
            if info.type == fs.FileType.File and not path.endswith(".tmp"):
                found[path] = info
    found |= {path: store.filesystem.get_file_info(store.path(path)) for path in _FILES}
    kept = {path: info for path, info in found.items() if responses or not path.startswith(_RESPONSES)}
    return dict(sorted(kept.items()))


def _named(record: Record) -> list[tuple[str, str]]:
    """Artefacts of a record with their hashes."""
    return [(path, artefact.sha256) for path, artefact in record.artefacts.items()]


def _versions(records: Iterable[Record]) -> dict[str, Counter[str]]:
    """Package -> how many records name each of its versions."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        for package, version in record.environment.items():
            found.setdefault(package, Counter())[version] += 1
    return found


def _of_one_version(store: Store, records: Mapping[str, Record]) -> None:
    """Raise StoreError where records name several versions of a package."""
    mixed = {
        package: found
        for package, found in sorted(_versions(records.values()).items())
        if len(found) > 1 and package not in _NO_MATTER
    }
    if mixed:
        told = "; ".join(
            f"{package} " + ", ".join(f"{version} ({counted(cells, 'cell')})" for version, cells in found.most_common())
            for package, found in mixed.items()
        )
        raise StoreError(
            f"cells of {store.root} were computed by several versions, so their scores need not be comparable: {told}; "
            "gather with --allow-mixed if that is meant, or run the study in a new store with one image"
        )


def _gathered(store: Store, study: str, files: Mapping[str, Artefact], records: Mapping[str, Record]) -> Gathered:
    """The manifest: the files, and how the cells stand."""
    outline = state.read_outline(store)
    cells = {cell.slug: cell.kind for cell in outline.cells} if outline else {s: r.kind for s, r in records.items()}
    done = {slug: kind for slug, kind in cells.items() if slug in records}
    seconds = {kind: sum(records[slug].seconds for slug in done if done[slug] == kind) for kind in {*done.values()}}
    shown = {package: tuple(sorted(found)) for package, found in sorted(_versions(records.values()).items())}
    missing = tuple(slug for slug in cells if slug not in done)
    spent = {kind: round(total, 1) for kind, total in sorted(seconds.items())}
    planned = dict(Counter(cells.values()))
    run = state.read(store)
    counts = dict(Counter(done.values()))
    return Gathered(store.root, study, files, planned, counts, missing, shown, spent, run.phase if run else "")


# --- bringing --------------------------------------------------------------------------------------------------


def _brought(store: Store, path: str, out: Path, before: Gathered | None, sha256: str | None) -> Artefact:
    """Bring one file unless it is there. Raises StoreError where it does not arrive as the store has it."""
    target, known = out / path, before.files.get(path) if before else None
    for _ in range(_TRIES):
        info = store.filesystem.get_file_info(store.path(path))
        if known and _unchanged(target, info, known):
            return known
        arriving = target.with_name(f"{target.name}.tmp")
        arriving.parent.mkdir(parents=True, exist_ok=True)
        try:
            sent = _copy(store, path, arriving)
            if sent.bytes == info.size and _file(arriving) == sent and sha256 in (None, sent.sha256):
                arriving.replace(target)
                _stamp(target, info)
                return sent
        finally:
            arriving.unlink(missing_ok=True)
    raise StoreError(f"{store.shown(path)} did not arrive whole: gather again, or run the study again to have it made")


def _copy(store: Store, path: str, arriving: Path) -> Artefact:
    """Copy, hashing what is read."""
    with store.filesystem.open_input_stream(store.path(path)) as source, arriving.open("wb") as stream:
        sha256 = digest(cast(IO[bytes], source), stream)
    return Artefact(arriving.stat().st_size, sha256)


def _unchanged(target: Path, info: fs.FileInfo, known: Artefact) -> bool:
    """Whether a file was brought before, is whole, and its source has the time and size that it had then."""
    if not target.is_file() or info.size != known.bytes or info.mtime_ns is None:
        return False
    return abs(target.stat().st_mtime_ns - info.mtime_ns) < 1_000 and _file(target) == known


def _stamp(target: Path, info: fs.FileInfo) -> None:
    """Give a file the time of its source, by which the next gathering knows it."""
    if info.mtime_ns is not None:
        os.utime(target, ns=(info.mtime_ns, info.mtime_ns))


def _part(fetch: Callable[[], bytes], name: str, expected: Artefact) -> bytes:
    """One part, fetched again where it arrives cut off. Raises TargetError."""
    for _ in range(_TRIES):
        block = fetch()
        if Artefact(len(block), hashlib.sha256(block).hexdigest()) == expected:
            return block
    raise TargetError(f"{name} arrived damaged {_TRIES} times: gather again, or from the store itself")


def _place(source: Path, target: Path) -> None:
    """Put a checked file in its place, if another is there."""
    if target.is_file() and _file(target) == _file(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving = target.with_name(f"{target.name}.tmp")
    shutil.copyfile(source, arriving)
    arriving.replace(target)


def _of(path: Path) -> Artefact:
    return _file(path) or Artefact(0, "")


def _file(path: Path) -> Artefact | None:
    """What a file of this machine is, read from the disk."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return Artefact(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


# --- the manifest ----------------------------------------------------------------------------------------------


def _before(out: Path, root: str) -> Gathered | None:
    """What was gathered into a folder before. Raises StoreError where it holds something else."""
    found = _read(out)
    if found is None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out} is not empty and holds nothing that was gathered: give another --out")
    if found is not None and found.store != root:
        raise StoreError(f"{out} holds what was gathered from {found.store}, not from {root}: give another --out")
    return found


def _read(out: Path) -> Gathered | None:
    try:
        given = json.loads((out / MANIFEST).read_text())
        given["files"] = {_within(path): Artefact(**facts) for path, facts in given["files"].items()}
        given["versions"] = {package: tuple(found) for package, found in given["versions"].items()}
        given["missing"] = tuple(given["missing"])
        return Gathered(**given)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _within(path: str) -> str:
    """The path, if it is of what is gathered. Raises ValueError: a manifest may come from another machine."""
    parts = PurePosixPath(path).parts
    if ".." in parts or (path not in _FILES and parts[0] not in _FOLDERS):
        raise ValueError(path)
    return path


def _finish(out: Path, made: Gathered, before: Gathered | None) -> None:
    """Remove what the store no longer has, and write the manifest last."""
    for path in set(before.files if before else ()) - set(made.files):
        (out / path).unlink(missing_ok=True)
    arriving = out / f"{MANIFEST}.tmp"
    out.mkdir(parents=True, exist_ok=True)
    arriving.write_text(json.dumps(asdict(made), sort_keys=True, indent=1))
    arriving.replace(out / MANIFEST)
