"""The record of a finished cell, and the artefacts that it vouches for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from app.identity import fingerprint

_BLOCK = 1 << 22  # bytes read at once: one request of an object store


@dataclass(frozen=True)
class Artefact:
    """What a file was when its cell was done."""

    bytes: int
    sha256: str


Artefacts = Mapping[str, Artefact]
"""Path within the store -> what lies there."""


@dataclass(frozen=True)
class Record:
    """The completion of a cell. `inputs` and `result` are reproducible; `seconds` and `environment` are not."""

    kind: str
    slug: str
    inputs: Mapping[str, object]
    result: Mapping[str, object]
    seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    artefacts: Artefacts = field(default_factory=dict[str, Artefact])
    """What the cell wrote; none in the records of older stores, whose files count as unverified."""

    @property
    def fingerprint(self) -> str:
        """Hash of the inputs."""
        return fingerprint(self.inputs)

    def text(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)


def parse(content: bytes) -> Record | None:
    """The record in a file, or None where it is damaged."""
    try:
        told = cast(dict[str, Any], json.loads(content))
        artefacts = {path: Artefact(**one) for path, one in told.pop("artefacts", {}).items()}
        return Record(**told, artefacts=artefacts)
    except (ValueError, TypeError, AttributeError):
        return None


def artefact(path: Path) -> Artefact:
    """What a local file is; read again only where it changed."""
    state = path.stat()
    return _hashed(path, state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=4096)
def _hashed(path: Path, size: int, *_changes: int) -> Artefact:
    with path.open("rb") as stream:
        return Artefact(size, digest(stream))


def digest(stream: IO[bytes], copy: IO[bytes] | None = None) -> str:
    """SHA-256 of what is left of a stream, passed on to `copy` on the way."""
    found = hashlib.sha256()
    while block := stream.read(_BLOCK):
        found.update(block)
        if copy is not None:
            copy.write(block)
    return found.hexdigest()


def flaw(shown: str, expected: Artefact, size: int | None, sha256: str | None = None) -> str:
    """One sentence on a file that is not what its record says, or "" where it is; None: absent, or not looked at."""
    if size is None:
        return f"{shown} is missing"
    if size != expected.bytes:
        return f"{shown} is damaged: it has {size} bytes and was written with {expected.bytes}"
    if sha256 is not None and sha256 != expected.sha256:
        return f"{shown} is damaged: its content is not what was written"
    return ""
