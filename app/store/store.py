"""Paths, records, tables and folders below one root; whole or absent, and for one run at a time."""

import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from app import tables
from app.errors import StoreError
from app.identity import fingerprint
from app.store.lease import File, Lease
from app.store.record import Artefact, Artefacts, Record, artefact, digest, flaw, parse
from app.store.root import RETRIES, open_root, told

FORMAT = 1
BEAT = 5.0  # seconds between two signs of life of a run on object storage
_LOCK, _LEASE = ".lock", "lease.json"
_READERS = 16  # parallel reads of small files: object stores answer each in tens of milliseconds
_COPIERS = 4  # files of a folder sent or fetched at once
_WINDOW = 64 << 20  # bytes of one upload in flight: what it holds in memory


class Survey(NamedTuple):
    """What a store holds, and what of it is not as it was written."""

    records: Mapping[str, Record]
    """Sound ones, by slug in their order: of all they vouch for, the sizes are right."""
    flaws: Mapping[str, str]
    """Slug -> one sentence that names the file and the fault; these cells count as not done."""


class Store:
    """Paths, records and tables below one root; picklable, so that workers open the same one.

    `retries`: of each request to S3; `beat`: seconds between two signs of life of the run that holds the store;
    `holder`: the run that a worker's store belongs to.
    """

    def __init__(self, root: str | Path, *, retries: int = RETRIES, beat: float = BEAT, holder: str = "") -> None:
        self._retries, self._beat = retries, beat
        self.filesystem, self._prefix, self._shown, self._query = open_root(str(root), retries)
        self._lease = self._leased(holder) if holder else None

    def __reduce__(self) -> tuple[object, tuple[str]]:
        holder = self._lease.holder if self._lease else ""
        return partial(Store, retries=self._retries, beat=self._beat, holder=holder), (self.root,)

    @property
    def root(self) -> str:
        """The path or URI that opens this store; it never holds credentials."""
        return self._shown + (f"?{self._query}" if self._query else "")

    @property
    def local(self) -> Path | None:
        """The root as a local folder, or None on object storage."""
        return Path(self._prefix) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def path(self, relative: str) -> str:
        """Where `relative` lies within the file system. Raises StoreError for a path that leaves the store."""
        parts = PurePosixPath(relative)
        if parts.is_absolute() or ".." in parts.parts:
            raise StoreError(f"{relative} leads out of the store {self.root}")
        return f"{self._prefix}/{relative}"

    def shown(self, relative: str) -> str:
        """The path or URI that opens `relative` by itself."""
        return self._name(relative) + (f"?{self._query}" if self._query else "")

    def _name(self, relative: str) -> str:
        return f"{self._shown}/{relative}"

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

    def keep(self, study: str, text: str, origin: Path) -> None:
        """Make this the store of `study`: keeps the study file, and where it came from (for relative paths)."""
        header = {"format": FORMAT, "study": study, "origin": str(origin.resolve())}
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
        return self._read_records(self._sizes(f"records/{kind}" if kind else "records"))

    def delete_record(self, slug: str) -> None:
        """Forget that a cell is done, so that it is computed anew."""
        if self.exists(_place(slug)):
            with told(self._name(_place(slug)), "deleted"):
                self.filesystem.delete_file(self.path(_place(slug)))

    def survey(self) -> Survey:
        """All records, and what is wrong with those that are damaged or vouch for a file of another size."""
        sizes = self._sizes("")
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
        with ThreadPoolExecutor(_COPIERS) as pool:
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

    # --- files -------------------------------------------------------------------------------------------------

    def read_text(self, relative: str) -> str | None:
        """A small file, or None where there is none."""
        content = self._read(relative)
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError as fault:
            raise StoreError(f"{self._name(relative)} is damaged ({fault}): delete it to have it made anew") from fault

    def write_text(self, relative: str, text: str) -> None:
        """Write a small file: whole or not at all."""
        self.write_bytes(relative, text.encode())

    def write_bytes(self, relative: str, content: bytes) -> None:
        """Write a file: whole or not at all."""
        with self._atomic(relative) as stream:
            stream.write(content)

    def exists(self, relative: str) -> bool:
        """Whether a file or folder is there."""
        with told(self._name(relative), "looked up"):
            return self.filesystem.get_file_info(self.path(relative)).type != fs.FileType.NotFound

    def write_table(self, table: str, relative: str, data: pa.Table) -> None:
        """Check `data` against the schema of `table` and write it as Parquet: whole or not at all."""
        self.write_parquet(relative, tables.checked(table, data))

    def write_parquet(self, relative: str, data: pa.Table, row_group_size: int | None = None) -> None:
        """Write a table as Parquet: whole or not at all."""
        with self._atomic(relative) as stream:
            pq.write_table(data, stream, compression="zstd", row_group_size=row_group_size)

    @contextmanager
    def parquet_writer(
        self, relative: str, schema: pa.Schema, artefacts: dict[str, Artefact] | None = None
    ) -> Generator[pq.ParquetWriter]:
        """A Parquet file written batch by batch; it appears whole when the block ends, or not at all.

        `artefacts` is told what it became.
        """
        with (
            self._atomic(relative, artefacts) as stream,
            pq.ParquetWriter(stream, schema, compression="zstd") as writer,
        ):
            yield writer

    def read_table(self, table: str, relative: str) -> pa.Table:
        """Read and check one of the tables. Raises StoreError where it is absent."""
        if not self.exists(relative):
            raise StoreError(f"{self._name(relative)} is not there: run the study first")
        return tables.read(table, self.path(relative), self.filesystem)

    @contextmanager
    def open_input(self, relative: str) -> Generator[pa.NativeFile]:
        """A random-access file for reading (Parquet row groups). Raises StoreError where it is absent or damaged."""
        shown = self._name(relative)
        try:
            with self.filesystem.open_input_file(self.path(relative)) as stream:
                yield stream
        except FileNotFoundError as fault:
            raise StoreError(f"{shown} is not there: run the study again") from fault
        except (pa.ArrowInvalid, OSError) as fault:
            raise StoreError(f"{shown} is damaged or cannot be read ({fault}): run the study again") from fault

    def _read(self, relative: str) -> bytes | None:
        shown = self._name(relative)
        try:
            with told(shown, "read"), self.filesystem.open_input_file(self.path(relative)) as stream:
                return stream.read(stream.size())  # at once: between two requests it could be replaced
        except FileNotFoundError:
            return None

    @contextmanager
    def _atomic(
        self, relative: str, artefacts: dict[str, Artefact] | None = None, *, leased: bool = True
    ) -> Generator[IO[bytes]]:
        """A file that appears under its name only when the block ends without an error.

        `leased`: and only if this run still holds the store.
        """
        target = Path(self.path(relative))
        folder = target.parent if self.local is not None else Path(tempfile.gettempdir())
        temporary = folder / f"{target.name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            with told(self._name(relative), "written"):
                folder.mkdir(parents=True, exist_ok=True)
                stream = temporary.open("wb")
            with stream:
                yield stream
                stream.flush()
                if self.local is not None:
                    os.fsync(stream.fileno())
            if artefacts is not None:
                artefacts[relative] = artefact(temporary)
            if leased:
                self._guard()
            if self.local is None:
                self._send({temporary: relative})
            else:
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _send(self, files: Mapping[Path, str]) -> None:
        """Upload local files. An object that is closed half-written is complete for everybody, so all is sent from
        threads, where no Ctrl-C comes in between."""
        with ThreadPoolExecutor(_COPIERS) as pool:
            for done in [pool.submit(self._upload, *one) for one in files.items()]:
                done.result()

    def _upload(self, file: Path, relative: str) -> None:
        with (
            file.open("rb") as stream,
            told(self._name(relative), "written"),
            self.filesystem.open_output_stream(self.path(relative)) as upload,
        ):
            while block := stream.read(_WINDOW):
                if stream.tell() > _WINDOW:
                    upload.flush()  # wait for the window before
                upload.write(block)

    # --- folders: checkpoints ----------------------------------------------------------------------------------

    @contextmanager
    def new_folder(self, relative: str, artefacts: dict[str, Artefact] | None = None) -> Generator[Path]:
        """A local folder to fill; it takes its place in the store when the block ends without an error.

        `artefacts` is told what its files became.
        """
        if self.local is not None:
            target = Path(self.path(relative))
            with told(self._name(relative), "written"):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.tmp")
                temporary.mkdir()
            try:
                yield temporary
                if artefacts is not None:
                    artefacts |= {f"{relative}/{name}": artefact(file) for name, file in _files(temporary).items()}
                self._guard()
                if target.exists():
                    shutil.rmtree(target)
                temporary.replace(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return
        with tempfile.TemporaryDirectory(prefix="fewtune-") as name:
            yield Path(name)
            self._guard()
            made = {f"{relative}/{name}": file for name, file in _files(Path(name)).items()}
            if artefacts is not None:
                artefacts |= {path: artefact(file) for path, file in made.items()}
            self._send({file: path for path, file in made.items()})
            with told(self._name(relative), "written"):
                for left in self._sizes(relative).keys() - made.keys():
                    self.filesystem.delete_file(self.path(left))

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
                self._fetch(relative, arriving)
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
        found = {f"{relative}/{name}": artefact(file) for name, file in _files(folder).items()}
        for path, one in expected.items():
            there = found.get(path)
            if wrong := flaw(self._name(path), one, there and there.bytes, there and there.sha256):
                return wrong
        return ""

    def _fetch(self, relative: str, folder: Path) -> None:
        """Download a stored folder."""

        def fetch(path: str) -> None:
            target = folder / PurePosixPath(path).relative_to(relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                target.open("wb") as copy,
                told(self._name(path), "read"),
                self.filesystem.open_input_stream(self.path(path)) as stream,
            ):
                digest(cast(IO[bytes], stream), copy)

        with ThreadPoolExecutor(_COPIERS) as pool:
            list(pool.map(fetch, self._sizes(relative)))

    def delete_folders(self, relative: str, prefix: str) -> None:
        """Remove the folders below `relative` whose names begin with `prefix`, with all that is in them."""
        with told(self._name(relative), "deleted"):
            for info in self.filesystem.get_file_info(fs.FileSelector(self.path(relative), allow_not_found=True)):
                if info.type == fs.FileType.Directory and info.base_name.startswith(prefix):
                    self.filesystem.delete_dir(info.path)

    # --- below --------------------------------------------------------------------------------------------------

    def _sizes(self, relative: str) -> dict[str, int]:
        """Path -> bytes of all files below `relative`, by one listing."""
        selector = fs.FileSelector(self.path(relative).rstrip("/"), allow_not_found=True, recursive=True)
        with told(self._name(relative), "listed"):
            found = self.filesystem.get_file_info(selector)
        return dict(_named(found, f"{self._prefix}/"))

    def _guard(self) -> None:
        """Raise StoreError where this run held the store by a lease and lost it."""
        if self._lease:
            self._lease.check()

    def _leased(self, holder: str) -> Lease:
        def write(text: str) -> None:
            with self._atomic(_LEASE, leased=False) as stream:
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


def _named(found: list[fs.FileInfo], prefix: str) -> Iterator[tuple[str, int]]:
    for info in found:
        name = info.path.removeprefix(prefix)
        if info.type == fs.FileType.File and not name.endswith(".tmp") and name not in (_LOCK, _LEASE):
            yield name, info.size


def _files(folder: Path) -> dict[str, Path]:
    """Path below a local folder -> file, in their order."""
    return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
