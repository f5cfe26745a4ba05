"""A real object store on loopback (SeaweedFS, one process), and a proxy before it that makes the faults of a network.

SeaweedFS keeps credentials of two kinds, so that a store without write access is a real one too.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from pyarrow import fs

BUCKET = "studies"
SLOW_DOWN = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>SlowDown</Code>"
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Keys(NamedTuple):
    """Credentials, given to a process as an environment."""

    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What Arrow's S3 reads; never asks a cloud's own address for credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


WRITER, READER = Keys("writer", "writers-secret"), Keys("reader", "readers-secret")
_IDENTITIES = [
    (WRITER, ["Admin", "Read", "List", "Tagging", "Write"]),
    (READER, ["Read", "List"]),
]


def uri(port: int, prefix: str) -> str:
    """The URI of `prefix` in the bucket of the server (or proxy) at `port`."""
    return f"s3://{BUCKET}/{prefix}?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


@contextmanager
def server(folder: Path) -> Generator[int]:
    """Serve S3 from `folder`; gives the port. The bucket is there."""
    config = folder / "identities.json"
    identities = [
        {"name": keys.key, "credentials": [{"accessKey": keys.key, "secretKey": keys.secret}], "actions": actions}
        for keys, actions in _IDENTITIES
    ]
    config.write_text(json.dumps({"identities": identities}))
    names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("weed")),
            *(f"-logdir={folder}", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=256"),
            *("-volume.max=0", "-volume.minFreeSpace=1", "-filer", "-s3", f"-s3.config={config}", "-s3.iam=false"),
            *("-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-{name.replace('.', '.port.', 1) if '.' in name else f'{name}.port'}={ports[name]}" for name in names),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"GOMEMLIMIT": "512MiB"},
    )
    try:
        _await(f"http://127.0.0.1:{ports['s3']}/status", process)
        make_bucket(ports["s3"])
        yield ports["s3"]
    finally:
        process.kill()
        process.wait()


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once `address` answers. Raises RuntimeError where the server ends instead, or takes a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(address, timeout=2):  # noqa: S310 - our own, http
                return
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not come up (exit status {process.poll()})")


def make_bucket(port: int) -> None:
    """Make the bucket; the master may still be choosing itself, so this is tried for a while."""
    filesystem = direct(port)
    until = time.monotonic() + 60
    while True:
        try:
            filesystem.create_dir(BUCKET)
            with filesystem.open_output_stream(f"{BUCKET}/ready") as stream:
                stream.write(b"ready")
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def direct(port: int, keys: Keys = WRITER) -> fs.S3FileSystem:
    """The server as a file system of its own, to look at and to damage what a store holds."""
    return fs.S3FileSystem(
        access_key=keys.key,
        secret_key=keys.secret,
        endpoint_override=f"127.0.0.1:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )


def free_ports(count: int) -> list[int]:
    """Ports of loopback that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass
class _Rule:
    kind: Literal["refuse", "cut", "hang"]
    method: str
    path: str
    times: int
    after: int = 0


class Proxy:
    """Forwards requests to a server, one a connection, and disturbs those that a test names.

    A rule is for a method and a part of the path, empty for all, and holds for a number of requests or until `clear`.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._rules: list[_Rule] = []
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request that came, in order."""
        self.disturbed = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = started.result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def refuse(self, method: str = "", path: str = "", times: int = 10**9) -> None:
        """Answer 503 SlowDown."""
        self._rules.append(_Rule("refuse", method, path, times))

    def cut(self, method: str, path: str = "", times: int = 1, after: int = 1_000) -> None:
        """Close the connection once `after` bytes of the body of a PUT or POST, or of the answer to a GET, are over."""
        self._rules.append(_Rule("cut", method, path, times, after))

    def hang(self, method: str = "", path: str = "", times: int = 10**9) -> None:
        """Take the request and never answer."""
        self._rules.append(_Rule("hang", method, path, times))

    def clear(self) -> None:
        """Disturb nothing any more."""
        self._rules.clear()

    def close(self) -> None:
        """End the proxy with all its connections."""

        async def end() -> None:
            self._server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _rule(self, method: str, path: str) -> _Rule | None:
        for rule in self._rules:
            if rule.method in ("", method) and rule.path in path and rule.times > 0:
                rule.times -= 1
                self.disturbed += 1
                return rule
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            self.requests.append((method, path))
            rule = self._rule(method, path)
            if rule and rule.kind == "hang":
                await asyncio.sleep(3_600)
            elif rule and rule.kind == "refuse":
                answer = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
                writer.write(answer + b"Content-Length: %d\r\n\r\n%s" % (len(SLOW_DOWN), SLOW_DOWN))
                await writer.drain()
            else:
                await self._forward(head, reader, writer, rule.after if rule else None, method == "GET")
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _forward(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None, answer: bool
    ) -> None:
        """Pass a request and its answer on; after `limit` bytes of the answer or else of the request, stop."""
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            there_writer.write(head[:-2] + b"Connection: close\r\n\r\n")
            up = asyncio.create_task(_pump(reader, there_writer, None if answer else limit))
            down = asyncio.create_task(_pump(there_reader, writer, limit if answer else None))
            await asyncio.wait([down] if limit is None or answer else [up, down], return_when=asyncio.FIRST_COMPLETED)
            for task in (up, down):
                task.cancel()
        finally:
            there_writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: int | None) -> None:
    """Pass bytes on until the source ends, or `limit` bytes were passed on."""
    passed = 0
    while piece := await source.read(1 << 16):
        piece = piece if limit is None else piece[: limit - passed]
        passed += len(piece)
        target.write(piece)
        await target.drain()
        if passed == limit:
            return
