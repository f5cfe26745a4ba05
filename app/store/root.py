"""Where a store lies: a path or a URI, opened as a file system that outlasts the passing faults of object storage."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import SplitResult, parse_qs, urlsplit

import pyarrow as pa
from pyarrow import fs

from app.errors import AwayError, StoreError, disk_full

RETRIES = 11  # after 25 ms, 50 ms, 100 ms, ...: 51 seconds in all
_SECRETS = {"access_key", "secret_key", "session_token", "access_token", "sas_token", "account_key"}
_REMEDIES = {
    "ACCESS_DENIED": "give credentials that may read, write, list and delete there, or another --store",
    "NO_SUCH_BUCKET": "make the bucket, or give another --store",
    "SIGNATURE_DOES_NOT_MATCH": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that belong together",
    "INVALID_ACCESS_KEY_ID": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that the store knows",
    "HTTP status 403": "give credentials that may read, write, list and delete there, or another --store",
    "Permission denied": "give another --store, or the right to write there",
    "Read-only": "give another --store",
    "File exists": "it is a file, or lies below one; give another --store",
    "Not a directory": "it is a file, or lies below one; give another --store",
}
_WAIT = "run the same command again once it can; finished cells are kept"


class Root(NamedTuple):
    """An opened root."""

    filesystem: fs.FileSystem
    prefix: str
    """Path of the root within the file system."""
    shown: str
    """Path or URI without its query."""
    query: str
    """What follows the question mark of a URI: endpoint, region."""


def open_root(text: str, retries: int) -> Root:
    """Open a path or URI; `retries` of one request where it is S3. Raises StoreError."""
    if "://" not in text:
        path = str(Path(text).expanduser().resolve())
        return Root(fs.LocalFileSystem(), path, path, "")
    split = _split(text)
    try:
        filesystem, prefix = fs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, OSError) as fault:
        raise StoreError(f"the store {text} cannot be opened: {fault}") from fault
    if isinstance(filesystem, fs.S3FileSystem):
        filesystem = _patient(filesystem, retries)
    return Root(filesystem, prefix.rstrip("/"), text.split("?", 1)[0].rstrip("/"), split.query)


def _split(text: str) -> SplitResult:
    """The parts of a URI. Raises StoreError where it holds credentials."""
    split = urlsplit(text)
    user, at, _ = split.netloc.rpartition("@")
    # A secret may hold a slash, and cut the URI short: s3://key:se/cret@bucket has the host key:se.
    secret = (at and user != "anonymous") or (split.scheme in ("s3", "gs", "gcs") and ":" in split.netloc)
    if secret or _SECRETS & parse_qs(split.query, keep_blank_values=True).keys():
        raise StoreError(
            f"the URI of a store stands in logs, and this one ({split.scheme}://...) holds credentials: leave "
            "them out, and give every node AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role"
        )
    return split


def _patient(filesystem: fs.S3FileSystem, retries: int) -> fs.S3FileSystem:
    """The same S3, with more patience: 503 for a while, a connection cut in the middle of an upload.

    A small object is sent by one request. Arrow must keep its background writes: without them, closing a stream one
    of whose parts was refused makes an object of the parts that were taken (Arrow 26).
    """
    reduced = cast(tuple[object, tuple[dict[str, Any]]], filesystem.__reduce__())  # the only way to its options
    options = {name: value for name, value in reduced[1][0].items() if name != "proxy_options"}
    options |= {"allow_delayed_open": True, "background_writes": True}
    return fs.S3FileSystem(**options, retry_strategy=fs.AwsDefaultS3RetryStrategy(retries))


@contextmanager
def told(shown: str, done: str) -> Generator[None]:
    """Turn a fault of storage into one sentence: `shown` cannot be `done`. What is absent or full stays as it is.

    Raises StoreError: AwayError where waiting may help.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as fault:
        if disk_full(fault):
            raise
        raise refusal(shown, done, fault) from fault


def refusal(shown: str, done: str, fault: OSError) -> StoreError:
    """A fault of storage in one sentence: an AwayError where nothing is known to be wrong with what the user gave."""
    reason = re.sub(r"\(Request ID:.*?\)|Detail:.*", "", fault.strerror or str(fault))
    reason = re.sub(r"\s+", " ", reason).strip(" .")
    remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in str(fault)), "")
    kind = StoreError if remedy else AwayError
    return kind(f"{shown} cannot be {done} ({reason}): {remedy or _WAIT}")
