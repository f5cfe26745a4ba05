"""The files of a study: whose they are, who may write them, which cells are done, and what is damaged."""

import fcntl
import json
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from pyarrow import fs

from app.errors import StoreError
from app.identity import fingerprint
from app.store.files import COPIERS, Files, files_of
from app.store.lease import File, Lease
from app.store.record import Artefacts, Record, artefact, digest, flaw, parse
from app.store.root import RETRIES, told

FORMAT = 1
BEAT = 5.0  # seconds between two signs of life of a run on object storage
_LOCK, _LEASE = ".lock", "lease.json"
_READERS = 16  # parallel reads of small files: object stores answer each in tens of milliseconds


class Survey(NamedTuple):
    """What a store holds, and what of it is not as it was written."""

    records: Mapping[str, Record]
    """Sound ones, by slug in their order: of all they vouch for, the sizes are right."""
    flaws: Mapping[str, str]
    """Slug -> one sentence that names the file and the fault; these cells count as not done."""


class Store(Files):
    """Files below one root, with records of what is done; picklable, so that workers open the same one.

    `retries`: of each request to S3; `beat`: seconds between two signs of life of the run that holds the store;
    `holder`: the run that a worker's store belongs to.
    """

    def __init__(self, root: str | Path, *, retries: int = RETRIES, beat: float = BEAT, holder: str = "") -> None:
        self._retries, self._beat = retries, beat
        super().__init__(root, retries)
        self._lease = self._leased(holder) if holder else None

    def __reduce__(self) -> tuple[object, tuple[str]]:
        holder = self._lease.holder if self._lease else ""
        return partial(Store, retries=self._retries, beat=self._beat, holder=holder), (self.root,)

    # --- whose store it is -------------------------------------------------------------------------------------

    def check(self, study: str) -> None:
        """Raise StoreError if this is another study's store, of another format, or a folder of something else."""
        header = self.header()
        if header is None:
            selector = fs.FileSelector(self._prefix, allow_not_found=True)
            with told(self.root, "listed"):
                found = {info.base_name for info in self.filesystem.get_file_info(selector)}
            if found - {_LOCK, _LEASE}:
                raise StoreError(f"{self.root} is not empty and not a FewTune store: give another --store")
        elif header["study"] != study:
            raise StoreError(
                f"{self.root} is the store of the study {header['study']}, not of {study}: give another --store"
            )

    def keep(self, study: str, text: str, origin: Path, command: str = "") -> None:
        """Make this the store of `study`: keeps the study file, where it came from (for relative paths), and a command.

        `command`: what makes all of it again, as a reader may type it.
        """
        header = {"format": FORMAT, "study": study, "origin": str(origin.resolve()), "command": command}
        self.write_text("store.json", json.dumps(header))
        self.write_text("study.yaml", text)

    def header(self) -> dict[str, object] | None:
        """The contents of store.json, or None for a new store. Raises StoreError for an unknown format."""
        text = self.read_text("store.json")
        if text is None:
            return None
        try:
            header = cast(dict[str, object], json.loads(text))
            header["study"]
        except (json.JSONDecodeError, TypeError, KeyError) as fault:
            raise StoreError(f"{self._name('store.json')} is damaged: {fault}") from fault
        if header.get("format") != FORMAT:
            raise StoreError(f"{self.root} has store format {header.get('format')}, this FewTune writes {FORMAT}")
        return header

    @contextmanager
    def exclusive(self) -> Generator[None]:
        """Hold the store for one run: by a lock that dies with the process, or by a lease on object storage.

        Raises StoreError while another run holds it, and where nothing can be written.
        """
        with ExitStack() as held:
            if self.local is not None:
                with told(self.root, "written"):
                    self.local.mkdir(parents=True, exist_ok=True)
                    handle = held.enter_context((self.local / _LOCK).open("w"))
                if _locked(handle, self.root):
                    yield
                    return
            self._lease = self._leased("")
            held.callback(setattr, self, "_lease", None)
            held.enter_context(self._lease.hold())
            yield

    def tidy(self) -> None:
        """Remove what a run that was killed had begun to write; only while the store is held.

        Object storage shows no such thing. Parts of uploads that were cut short lie there unseen: a rule of the bucket
        (AbortIncompleteMultipartUpload) removes them.
        """
        if self.local is not None:
            for left in [*self.local.rglob("*.tmp")]:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    # --- records -----------------------------------------------------------------------------------------------

    def write_record(self, record: Record) -> None:
        """Declare a cell done; its artefacts must be in place."""
        self.write_text(_place(record.slug), record.text())

    def read_record(self, slug: str) -> Record | None:
        """The record of a cell, or None if it is not done; a damaged record is none, and `survey` names it."""
        content = self._read(_place(slug))
        return None if content is None else parse(content)

    def records(self, kind: str | None = None) -> dict[str, Record]:
        """All records by slug, in the order of the slugs."""
        return self._read_records(self.sizes(f"records/{kind}" if kind else "records"))

    def delete_record(self, slug: str) -> None:
        """Forget that a cell is done, so that it is computed anew."""
        if self.exists(_place(slug)):
            with told(self._name(_place(slug)), "deleted"):
                self.filesystem.delete_file(self.path(_place(slug)))

    def survey(self) -> Survey:
        """All records, and what is wrong with those that are damaged or vouch for a file of another size."""
        sizes = self.sizes("")
        sound = self._read_records(sizes)
        flaws = {
            slug: f"{self._name(_place(slug))} is damaged: it is no record"
            for slug in map(_slug, _records(sizes))
            if slug not in sound
        }
        flaws |= {slug: found for slug, record in sound.items() if (found := self._misfit(record, sizes))}
        return Survey({slug: record for slug, record in sound.items() if slug not in flaws}, flaws)

    def damaged(self, record: Record, *, deep: bool = False) -> str:
        """One sentence on a file that is not as the record's cell left it, or ""; `deep` reads and hashes all."""
        paths = list(record.artefacts)
        with told(self.root, "listed"):
            infos = self.filesystem.get_file_info([self.path(path) for path in paths])
        sizes = {path: info.size for path, info in zip(paths, infos, strict=True) if info.type == fs.FileType.File}
        found = self._misfit(record, sizes)
        if found or not deep:
            return found
        with ThreadPoolExecutor(COPIERS) as pool:
            hashes = dict(zip(paths, pool.map(self._hash, paths), strict=True))
        return self._misfit(record, sizes, hashes)

    def _misfit(self, record: Record, sizes: Mapping[str, int], hashes: Mapping[str, str] | None = None) -> str:
        hashes = hashes or {}
        for path, expected in record.artefacts.items():
            if found := flaw(self._name(path), expected, sizes.get(path), hashes.get(path)):
                return found
        return ""

    def _hash(self, relative: str) -> str:
        if self.local is not None:
            return artefact(Path(self.path(relative))).sha256
        with told(self._name(relative), "read"), self.filesystem.open_input_stream(self.path(relative)) as stream:
            return digest(cast(IO[bytes], stream))

    def _read_records(self, sizes: Mapping[str, int]) -> dict[str, Record]:
        slugs = sorted(map(_slug, _records(sizes)))
        with ThreadPoolExecutor(_READERS) as pool:
            return {
                slug: record for slug, record in zip(slugs, pool.map(self.read_record, slugs), strict=True) if record
            }

    # --- checkpoints -----------------------------------------------------------------------------------------

    def folder(self, relative: str, mark: str, record: Record | None = None) -> Path:
        """A stored folder as a local one: itself, or a cached copy named by `mark` (a fingerprint).

        Its files are held against those of `record`, the cell's that made it. Raises StoreError where the folder is
        absent, or damaged: the record is dropped then, so that the next run makes it anew.
        """
        if not self.exists(relative):
            raise StoreError(f"{self._name(relative)} is missing although its record is there: delete the record")
        if self.local is not None:
            found, folder = self.damaged(record, deep=True) if record else "", Path(self.path(relative))
        else:
            found, folder = self._cached(relative, mark, record)
        if found and record:
            self.delete_record(record.slug)
            raise StoreError(f"{found}; run the same command again to make it anew")
        return folder

    def _cached(self, relative: str, mark: str, record: Record | None) -> tuple[str, Path]:
        """A local copy of a stored folder, and what is wrong with it."""
        expected: Artefacts = record.artefacts if record else {}
        hashes = [one.sha256 for one in expected.values()]
        cache = Path(tempfile.gettempdir()) / "fewtune-cache" / fingerprint([self.root, relative, mark, hashes])
        if cache.exists() and self._astray(cache, relative, expected):
            shutil.rmtree(cache, ignore_errors=True)  # the copy alone may have suffered
        if not cache.exists():
            arriving = cache.with_name(f"{cache.name}.{uuid.uuid4().hex[:8]}")
            try:
                self.fetch(relative, arriving)
                if found := self._astray(arriving, relative, expected):
                    return found, cache
                arriving.replace(cache)
            except OSError:
                if not cache.exists():  # else another worker was first
                    raise
            finally:
                shutil.rmtree(arriving, ignore_errors=True)
        return "", cache

    def _astray(self, folder: Path, relative: str, expected: Artefacts) -> str:
        """What is wrong with a copy of a stored folder, or ""."""
        found = {f"{relative}/{name}": artefact(file) for name, file in files_of(folder).items()}
        for path, one in expected.items():
            there = found.get(path)
            if wrong := flaw(self._name(path), one, there and there.bytes, there and there.sha256):
                return wrong
        return ""

    # --- the lease -------------------------------------------------------------------------------------------

    def guard(self) -> None:
        """Raise StoreError where this run held the store by a lease and lost it."""
        if self._lease:
            self._lease.check()

    def _leased(self, holder: str) -> Lease:
        def write(text: str) -> None:
            with self._atomic(_LEASE, guarded=False) as stream:
                stream.write(text.encode())

        def remove() -> None:
            with told(self._name(_LEASE), "deleted"):
                self.filesystem.delete_file(self.path(_LEASE))

        return Lease(File(partial(self.read_text, _LEASE), write, remove), self.root, self._beat, holder)


def _locked(handle: IO[str], root: str) -> bool:
    """Whether the lock is ours, False on a file system without locks. Raises StoreError where it is another's."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"another run is using {root}: wait for it, or give another --store") from None
    except OSError:  # some network file systems
        return False
    return True


def _place(slug: str) -> str:
    return f"records/{slug}.json"


def _slug(path: str) -> str:
    return path.removeprefix("records/").removesuffix(".json")


def _records(paths: Mapping[str, int]) -> Iterator[str]:
    return (path for path in paths if path.startswith("records/") and path.endswith(".json"))
