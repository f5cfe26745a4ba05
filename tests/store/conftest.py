"""Stores of every kind: a path, a URI, and object storage with or without faults on the way to it."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_store import WRITER, Proxy, server, uri

from app.store import Store


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a real object store; this process may write to it."""
    before = dict(os.environ)
    os.environ.update(WRITER.environment)
    with server(tmp_path_factory.mktemp("seaweed")) as port:
        yield port
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def proxy(s3_port: int) -> Iterator[Proxy]:
    """A way to the object store that can be disturbed."""
    made = Proxy(s3_port)
    yield made
    made.close()


@pytest.fixture
def prefix() -> str:
    """A folder of the bucket that no other test uses."""
    return f"{uuid.uuid4().hex[:8]}/store"


@pytest.fixture(params=["path", "uri", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> Store:
    """An empty store: as a path, as a URI, on object storage."""
    if request.param == "s3":
        return Store(uri(request.getfixturevalue("s3_port"), prefix), beat=0.2)
    return Store(tmp_path / "store" if request.param == "path" else (tmp_path / "store").as_uri())


@pytest.fixture(params=["path", "uri"])
def local_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """The same local store as a path and as a URI."""
    return Store(tmp_path / "store" if request.param == "path" else (tmp_path / "store").as_uri())


@pytest.fixture
def disturbed(proxy: Proxy, prefix: str) -> Store:
    """A store behind the proxy."""
    return Store(uri(proxy.port, prefix), beat=0.2)


@pytest.fixture
def impatient(proxy: Proxy, prefix: str) -> Store:
    """The same, which gives a fault up after 0.2 seconds."""
    return Store(uri(proxy.port, prefix), retries=3, beat=0.2)


@pytest.fixture
def overwrite(request: pytest.FixtureRequest) -> Callable[[Store, str, bytes], None]:
    """Puts bytes in the place of a stored file, past all of the store's care."""

    def put(store: Store, relative: str, content: bytes) -> None:
        with store.filesystem.open_output_stream(store.path(relative)) as stream:
            stream.write(content)

    return put
