"""Files, tables and folders below one root, a local folder or a URI: each appears whole, or not at all."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from app import tables
from app.errors import FullError, StoreError, disk_full
from app.store.record import Artefact, artefact, digest
from app.store.root import open_root, refusal, told

COPIERS = 4  # files sent or fetched at once
_WINDOW = 64 << 20  # bytes of one upload in flight: what it holds in memory


class Files:
    """What lies below a root. `retries`: of each request to S3."""

    def __init__(self, root: str | Path, retries: int) -> None:
        self.filesystem, self._prefix, self._shown, self._query = open_root(str(root), retries)

    @property
    def root(self) -> str:
        """The path or URI that opens this; it never holds credentials."""
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

    def guard(self) -> None:
        """Raise StoreError where this process may not write any more; called before anything takes its name."""

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
            if "AWS Error" in str(fault):  # Parquet tells of damage by an OSError, too
                raise refusal(shown, "read", cast(OSError, fault)) from fault
            raise StoreError(f"{shown} is damaged or cannot be read ({fault}): run the study again") from fault

    def _read(self, relative: str) -> bytes | None:
        shown = self._name(relative)
        try:
            with told(shown, "read"), self.filesystem.open_input_file(self.path(relative)) as stream:
                return stream.read(stream.size())  # at once: between two requests it could be replaced
        except FileNotFoundError:
            return None

    @contextmanager
    def filling(self) -> Generator[None]:
        """What the block writes goes to the store: raises FullError where that is local and its disk is full."""
        try:
            yield
        except Exception as fault:
            if self.local is not None and disk_full(fault):
                raise FullError from fault
            raise

    @contextmanager
    def _atomic(
        self, relative: str, artefacts: dict[str, Artefact] | None = None, *, guarded: bool = True
    ) -> Generator[IO[bytes]]:
        """A file that appears under its name only when the block ends without an error.

        `guarded`: and only if `guard` lets it.
        """
        target = Path(self.path(relative))
        folder = target.parent if self.local is not None else Path(tempfile.gettempdir())
        temporary = folder / f"{target.name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            with self.filling(), told(self._name(relative), "written"):
                folder.mkdir(parents=True, exist_ok=True)
                stream = temporary.open("wb")
            with self.filling(), stream:
                yield stream
                stream.flush()
                if self.local is not None:
                    os.fsync(stream.fileno())
            if artefacts is not None:
                artefacts[relative] = artefact(temporary)
            if guarded:
                self.guard()
            if self.local is None:
                self._send({temporary: relative})
            else:
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _send(self, files: Mapping[Path, str]) -> None:
        """Upload local files. An object that is closed half-written is complete for everybody, so all is sent from
        threads, where no Ctrl-C comes in between."""
        with ThreadPoolExecutor(COPIERS) as pool:
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

    @contextmanager
    def new_folder(self, relative: str, artefacts: dict[str, Artefact] | None = None) -> Generator[Path]:
        """A local folder to fill; it takes its place in the store when the block ends without an error.

        `artefacts` is told what its files became.
        """
        if self.local is not None:
            target = Path(self.path(relative))
            with self.filling(), told(self._name(relative), "written"):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.tmp")
                temporary.mkdir()
            try:
                with self.filling():
                    yield temporary
                if artefacts is not None:
                    artefacts |= {f"{relative}/{name}": artefact(file) for name, file in files_of(temporary).items()}
                self.guard()
                if target.exists():
                    shutil.rmtree(target)
                temporary.replace(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return
        with tempfile.TemporaryDirectory(prefix="fewtune-") as name:
            yield Path(name)
            self.guard()
            made = {f"{relative}/{name}": file for name, file in files_of(Path(name)).items()}
            if artefacts is not None:
                artefacts |= {path: artefact(file) for path, file in made.items()}
            self._send({file: path for path, file in made.items()})
            with told(self._name(relative), "written"):
                for left in self.sizes(relative).keys() - made.keys():
                    self.filesystem.delete_file(self.path(left))

    def is_file(self) -> bool:
        """Whether the root itself is a file."""
        with told(self.root, "looked up"):
            return self.filesystem.get_file_info(self._prefix).type == fs.FileType.File

    def delete_file(self, relative: str) -> None:
        """Remove a file if it is there."""
        if self.exists(relative):
            with told(self._name(relative), "deleted"):
                self.filesystem.delete_file(self.path(relative))

    def delete_folders(self, relative: str, prefix: str) -> None:
        """Remove the folders below `relative` whose names begin with `prefix`, with all that is in them."""
        with told(self._name(relative), "deleted"):
            for info in self.filesystem.get_file_info(fs.FileSelector(self.path(relative), allow_not_found=True)):
                if info.type == fs.FileType.Directory and info.base_name.startswith(prefix):
                    self.filesystem.delete_dir(info.path)

    def fetch(self, relative: str, folder: Path) -> None:
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

        with ThreadPoolExecutor(COPIERS) as pool:
            list(pool.map(fetch, self.sizes(relative)))

    def sizes(self, relative: str) -> dict[str, int]:
        """Path -> bytes of all files below `relative`, by one listing."""
        selector = fs.FileSelector(self.path(relative).rstrip("/"), allow_not_found=True, recursive=True)
        with told(self._name(relative), "listed"):
            found = self.filesystem.get_file_info(selector)
        return dict(_whole(found, f"{self._prefix}/"))


def files_of(folder: Path) -> dict[str, Path]:
    """Path below a local folder -> file, in their order."""
    return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}


def _whole(found: Iterable[fs.FileInfo], prefix: str) -> Iterator[tuple[str, int]]:
    for info in found:
        name = info.path.removeprefix(prefix)
        if info.type == fs.FileType.File and not name.endswith(".tmp"):
            yield name, info.size
