"""The store: every artefact of a study under one root, a local path or a URI (s3://, gs://, file://, ...).

store.json  study.yaml              whose store this is
records/<kind>/<slug>.json          one for each finished cell, written last: it exists, so the cell is done
models/<base>/                      checkpoints of base models made here
checkpoints/<run>/                  tuned models: an adapter, or a whole checkpoint
trials/                             what Ray Tune keeps of unfinished tunings
requests/  tables/  report/         prompts, Arrow tables, the report
"""

import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from app import tables
from app.errors import StoreError
from app.identity import fingerprint

FORMAT = 1
_READERS = 16  # parallel reads of small files: object stores answer each in tens of milliseconds


@dataclass(frozen=True)
class Record:
    """The completion of a cell. `inputs` and `result` are reproducible; `seconds` and `environment` are not."""

    kind: str
    slug: str
    inputs: Mapping[str, object]
    result: Mapping[str, object]
    seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def fingerprint(self) -> str:
        """Hash of the inputs."""
        return fingerprint(self.inputs)


class Store:
    """Paths, records and tables below one root; picklable, so that workers open the same one."""

    def __init__(self, root: str | Path) -> None:
        text = str(root)
        if "://" in text:
            try:
                self._filesystem, prefix = fs.FileSystem.from_uri(text)
            except (pa.ArrowInvalid, OSError) as fault:
                raise StoreError(f"the store {text} cannot be opened: {fault}") from fault
            self.root, self._prefix = text.rstrip("/"), prefix.rstrip("/")
        else:
            self._filesystem = fs.LocalFileSystem()
            self.root = self._prefix = str(Path(text).expanduser().resolve())

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.root,)

    @property
    def local(self) -> Path | None:
        """The root as a local folder, or None on object storage."""
        return Path(self._prefix) if isinstance(self._filesystem, fs.LocalFileSystem) else None

    def path(self, relative: str) -> str:
        """Where `relative` lies within the file system. Raises StoreError for a path that leaves the store."""
        parts = PurePosixPath(relative)
        if parts.is_absolute() or ".." in parts.parts:
            raise StoreError(f"{relative} leads out of the store {self.root}")
        return f"{self._prefix}/{relative}"

    def shown(self, relative: str) -> str:
        """The path or URI of `relative`, for people."""
        return f"{self.root}/{relative}"

    # --- whose store it is -------------------------------------------------------------------------------------

    def check(self, study: str) -> None:
        """Raise StoreError if this is another study's store, of another format, or a folder of something else."""
        header = self.header()
        if header is None:
            selector = fs.FileSelector(self._prefix, allow_not_found=True)
            if any(info.base_name != ".lock" for info in self._filesystem.get_file_info(selector)):
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
            raise StoreError(f"{self.shown('store.json')} is damaged: {fault}") from fault
        if header.get("format") != FORMAT:
            raise StoreError(f"{self.root} has store format {header.get('format')}, this FewTune writes {FORMAT}")
        return header

    @contextmanager
    def exclusive(self) -> Generator[None]:
        """Hold the store for one run; the lock dies with the process. Object storage has no such lock.

        Raises StoreError while another run holds it.
        """
        if self.local is None:
            yield
            return
        try:
            self.local.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as fault:
            raise StoreError(f"{self.root} is a file, or lies below one: give another --store") from fault
        with (self.local / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"another run is using {self.root}: wait for it, or give another --store") from None
            yield

    def tidy(self) -> None:
        """Remove what a run that was killed had begun to write; only while the store is held."""
        if self.local is not None:
            for left in [*self.local.rglob("*.tmp")]:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    # --- records -----------------------------------------------------------------------------------------------

    def write_record(self, record: Record) -> None:
        """Declare a cell done; its artefacts must be in place."""
        self.write_text(f"records/{record.slug}.json", json.dumps(asdict(record), sort_keys=True, indent=1))

    def read_record(self, slug: str) -> Record | None:
        """The record of a cell, or None if it is not done."""
        text = self.read_text(f"records/{slug}.json")
        return None if text is None else self._record(slug, text)

    def records(self, kind: str | None = None) -> dict[str, Record]:
        """All records by slug, in the order of the slugs."""
        folder = f"records/{kind}" if kind else "records"
        found = sorted(p.removesuffix(".json") for p in self._list(folder) if p.endswith(".json"))
        slugs = [p.removeprefix("records/") for p in found]
        with ThreadPoolExecutor(_READERS) as pool:
            records = pool.map(self.read_record, slugs)
            return {slug: record for slug, record in zip(slugs, records, strict=True) if record}

    def delete_record(self, slug: str) -> None:
        """Forget that a cell is done, so that it is computed anew."""
        if self.read_text(f"records/{slug}.json") is not None:
            self._filesystem.delete_file(self.path(f"records/{slug}.json"))

    def _record(self, slug: str, text: str) -> Record:
        try:
            return Record(**json.loads(text))
        except (json.JSONDecodeError, TypeError) as fault:
            where = self.shown(f"records/{slug}.json")
            raise StoreError(f"the record {where} is damaged ({fault}): delete it to compute its cell anew") from fault

    # --- files -------------------------------------------------------------------------------------------------

    def read_text(self, relative: str) -> str | None:
        """A small file, or None where there is none."""
        try:
            with self._filesystem.open_input_stream(self.path(relative)) as stream:
                return stream.read().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as fault:
            raise StoreError(f"{self.shown(relative)} is damaged ({fault}): delete it to have it made anew") from fault
        except NotADirectoryError as fault:
            raise StoreError(
                f"{self.root} lies below a file, so it cannot be a folder: give another --store"
            ) from fault

    def write_text(self, relative: str, text: str) -> None:
        """Write a small file: whole or not at all."""
        self.write_bytes(relative, text.encode())

    def write_bytes(self, relative: str, content: bytes) -> None:
        """Write a file: whole or not at all."""
        with self._atomic(relative) as stream:
            stream.write(content)

    def exists(self, relative: str) -> bool:
        """Whether a file or folder is there."""
        return self._filesystem.get_file_info(self.path(relative)).type != fs.FileType.NotFound

    def write_table(self, table: str, relative: str, data: pa.Table) -> None:
        """Check `data` against the schema of `table` and write it as Parquet: whole or not at all."""
        self.write_parquet(relative, tables.checked(table, data))

    def write_parquet(self, relative: str, data: pa.Table, row_group_size: int | None = None) -> None:
        """Write a table as Parquet: whole or not at all."""
        with self._atomic(relative) as stream:
            pq.write_table(data, stream, compression="zstd", row_group_size=row_group_size)

    @contextmanager
    def parquet_writer(self, relative: str, schema: pa.Schema) -> Generator[pq.ParquetWriter]:
        """A Parquet file written batch by batch; it appears whole when the block ends, or not at all."""
        with self._atomic(relative) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            yield writer

    def read_table(self, table: str, relative: str) -> pa.Table:
        """Read and check one of the tables. Raises StoreError where it is absent."""
        if not self.exists(relative):
            raise StoreError(f"{self.shown(relative)} is not there: run the study first")
        return tables.read(table, self.path(relative), self._filesystem)

    @contextmanager
    def open_input(self, relative: str) -> Generator[pa.NativeFile]:
        """A random-access file for reading (Parquet row groups)."""
        with self._filesystem.open_input_file(self.path(relative)) as stream:
            yield stream

    @contextmanager
    def _atomic(self, relative: str) -> Generator[IO[bytes]]:
        """A file that appears under its name only when the block ends without an error."""
        target = self.path(relative)
        if self.local is None:  # closing a half-written object would upload it: only a whole file is sent
            with tempfile.TemporaryFile() as stream:
                yield stream
                stream.seek(0)
                with self._filesystem.open_output_stream(target) as upload:
                    shutil.copyfileobj(stream, cast(IO[bytes], upload), 1 << 20)
            return
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(f"{target}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    # --- folders: checkpoints ----------------------------------------------------------------------------------

    @contextmanager
    def new_folder(self, relative: str) -> Generator[Path]:
        """A local folder to fill; it takes its place in the store when the block ends without an error."""
        if self.local is not None:
            target = Path(self.path(relative))
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.tmp")
            temporary.mkdir()
            try:
                yield temporary
                if target.exists():
                    shutil.rmtree(target)
                temporary.replace(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return
        with tempfile.TemporaryDirectory(prefix="fewtune-") as name:
            yield Path(name)
            fs.copy_files(name, self.path(relative), fs.LocalFileSystem(), self._filesystem)

    def folder(self, relative: str, mark: str) -> Path:
        """A stored folder as a local one: itself, or a cached copy named by `mark` (a fingerprint).

        Raises StoreError where it is absent.
        """
        if not self.exists(relative):
            raise StoreError(f"{self.shown(relative)} is missing although its record is there: delete the record")
        if self.local is not None:
            return Path(self.path(relative))
        cache = Path(tempfile.gettempdir()) / "fewtune-cache" / fingerprint([self.root, relative, mark])
        if not cache.exists():
            cache.parent.mkdir(parents=True, exist_ok=True)
            arriving = cache.with_name(f"{cache.name}.{uuid.uuid4().hex[:8]}")
            fs.copy_files(self.path(relative), str(arriving), self._filesystem, fs.LocalFileSystem())
            try:
                arriving.replace(cache)
            except OSError:  # another worker was first
                shutil.rmtree(arriving, ignore_errors=True)
        return cache

    def delete_folders(self, relative: str, prefix: str) -> None:
        """Remove the folders below `relative` whose names begin with `prefix`, with all that is in them."""
        for info in self._filesystem.get_file_info(fs.FileSelector(self.path(relative), allow_not_found=True)):
            if info.type == fs.FileType.Directory and info.base_name.startswith(prefix):
                self._filesystem.delete_dir(info.path)

    def _list(self, relative: str) -> Iterator[str]:
        folder = self.path(relative)
        for info in self._filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True)):
            name = info.path.removeprefix(f"{self._prefix}/")
            if info.type == fs.FileType.File and not name.endswith(".tmp") and name != ".lock":
                yield name
