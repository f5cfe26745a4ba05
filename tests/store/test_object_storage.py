"""Object storage: passing faults cost time only, lasting ones are told in a sentence, a write is whole or absent."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from object_store import BUCKET, READER, WRITER, Keys, Proxy, direct, uri
from pyarrow import fs

from app.errors import StoreError
from app.store import Record, Store

pytestmark = pytest.mark.timeout(120)
RECORD = Record("tune", "tune/run", {"rate": 0.1}, {"loss": 1.5})
LARGE = 25 << 20  # bytes: more than one part of an upload


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The environment, to be changed and put back."""
    before = dict(os.environ)
    yield os.environ  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(before)


# --- where a store lies --------------------------------------------------------------------------------------------


def test_a_path_within_the_store_stands_before_the_query(s3_port: int) -> None:
    store = Store(uri(s3_port, "some/where"))
    query = f"?endpoint_override=127.0.0.1:{s3_port}&scheme=http&region=us-east-1"
    assert store.root == f"s3://{BUCKET}/some/where{query}"
    assert store.shown("trials/a") == f"s3://{BUCKET}/some/where/trials/a{query}"
    assert store.path("trials/a") == f"{BUCKET}/some/where/trials/a"
    assert store.local is None
    assert isinstance(store.filesystem, fs.S3FileSystem)
    again = pickle.loads(pickle.dumps(store))  # noqa: S301
    assert (again.root, again.path("a")) == (store.root, store.path("a"))


def test_what_is_shown_opens_by_itself(s3_port: int, prefix: str) -> None:
    Store(uri(s3_port, prefix)).write_text("a/b.txt", "text")
    filesystem, path = fs.FileSystem.from_uri(Store(uri(s3_port, prefix)).shown("a/b.txt"))
    assert filesystem.get_file_info(path).size == 4


def test_an_endpoint_may_stand_in_the_environment(s3_port: int, prefix: str, environment: dict[str, str]) -> None:
    environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{s3_port}"
    store = Store(f"s3://{BUCKET}/{prefix}?region=us-east-1")
    store.write_text("a.txt", "text")
    assert Store(uri(s3_port, prefix)).read_text("a.txt") == "text"


@pytest.mark.parametrize(
    "text",
    [
        "s3://KEY:HIDDEN@bucket/prefix?region=us-east-1",
        "s3://KEY:HIDDEN/HIDDEN@bucket/prefix?region=us-east-1",
        "s3://bucket/prefix?region=us-east-1&access_key=KEY&secret_key=HIDDEN",
        "s3://bucket/prefix?secret_key=HIDDEN",
        "gs://HIDDEN@bucket/prefix",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(StoreError, match="holds credentials: leave them out") as refused:
        Store(text)
    assert "HIDDEN" not in str(refused.value)
    assert "KEY:" not in str(refused.value)


# --- passing faults ------------------------------------------------------------------------------------------------


def test_everything_survives_503_for_a_while(proxy: Proxy, disturbed: Store) -> None:
    proxy.refuse(times=4)
    disturbed.write_record(RECORD)
    proxy.refuse(times=4)
    assert disturbed.read_record(RECORD.slug) == RECORD
    proxy.refuse(times=4)
    assert disturbed.records() == {RECORD.slug: RECORD}
    proxy.refuse(times=4)
    assert disturbed.exists(f"records/{RECORD.slug}.json")
    proxy.refuse("DELETE", times=4)
    disturbed.delete_record(RECORD.slug)
    assert proxy.disturbed == 20
    assert disturbed.records() == {}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_large_upload_survives_503_for_a_while(proxy: Proxy, disturbed: Store, method: str) -> None:
    content = os.urandom(LARGE)
    proxy.refuse(method, times=5)
    disturbed.write_bytes("large", content)
    assert proxy.disturbed == 5
    assert stored(disturbed, "large") == content


@pytest.mark.parametrize("size", [100_000, LARGE])
def test_an_upload_that_is_cut_is_sent_again(proxy: Proxy, disturbed: Store, size: int) -> None:
    content = os.urandom(size)
    proxy.cut("PUT", times=3, after=50_000)
    disturbed.write_bytes("file", content)
    assert proxy.disturbed == 3
    assert stored(disturbed, "file") == content


def test_a_download_that_is_cut_is_fetched_again(proxy: Proxy, disturbed: Store) -> None:
    content = os.urandom(LARGE)
    with disturbed.new_folder("models/base") as folder:
        (folder / "weights").write_bytes(content)
    proxy.cut("GET", "weights", times=2, after=300_000)
    assert (disturbed.folder("models/base", "mark") / "weights").read_bytes() == content
    assert proxy.disturbed == 2


def test_a_table_is_read_through_503(proxy: Proxy, disturbed: Store) -> None:
    table = pa.table({"a": list(range(1_000))})
    disturbed.write_parquet("t.parquet", table)
    proxy.refuse("GET", "t.parquet", times=3)
    with disturbed.open_input("t.parquet") as stream:
        assert pa.parquet.read_table(stream) == table  # type: ignore[attr-defined]
    assert proxy.disturbed == 3


def stored(store: Store, relative: str) -> bytes:
    with store.filesystem.open_input_file(store.path(relative)) as stream:
        return stream.read(stream.size())


# --- lasting faults ------------------------------------------------------------------------------------------------


def test_a_fault_that_lasts_is_one_sentence(proxy: Proxy, impatient: Store) -> None:
    impatient.write_record(RECORD)
    proxy.refuse()
    for act in (
        lambda: impatient.write_text("a", "b"),
        lambda: impatient.read_text("store.json"),
        lambda: impatient.records(),
        lambda: impatient.survey(),
        lambda: impatient.exists("a"),
        lambda: impatient.check("study"),
        lambda: impatient.delete_record(RECORD.slug),
        lambda: impatient.delete_folders("trials", "tune"),
        lambda: impatient.folder("models/base", "mark"),
        lambda: impatient.exclusive().__enter__(),
    ):
        with pytest.raises(StoreError, match=r"s3://studies/.* cannot be \w+.*: run the same command again") as told:
            act()
        assert "\n" not in str(told.value)


def test_a_server_that_is_not_there_is_one_sentence(environment: dict[str, str]) -> None:
    environment.update(WRITER.environment)
    store = Store(uri(1, "store"), retries=3)
    with pytest.raises(StoreError, match=r"cannot be read .*connect.*run the same command again"):
        store.check("study")


@pytest.mark.parametrize("part", [1, 2, 3])
def test_an_upload_that_fails_for_good_leaves_the_old_file(proxy: Proxy, impatient: Store, part: int) -> None:
    impatient.write_bytes("file", b"old")
    proxy.refuse("PUT", f"partNumber={part}")
    with pytest.raises(StoreError, match="file cannot be written"):
        impatient.write_bytes("file", os.urandom(LARGE))
    proxy.clear()
    assert stored(impatient, "file") == b"old"


def test_an_upload_of_several_windows_that_fails_for_good_leaves_the_old_file(
    proxy: Proxy, impatient: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.files._WINDOW", 12 << 20)
    impatient.write_bytes("file", b"old")
    proxy.refuse("PUT", "partNumber=1")
    content = os.urandom(LARGE)
    with pytest.raises(StoreError, match="file cannot be written"):
        impatient.write_bytes("file", content)
    proxy.clear()
    assert stored(impatient, "file") == b"old"
    impatient.write_bytes("file", content)
    assert stored(impatient, "file") == content


def test_what_fails_before_its_end_is_never_uploaded(proxy: Proxy, disturbed: Store) -> None:
    schema = pa.schema([pa.field("a", pa.int64())])
    with (  # noqa: PT012 - the fault is to come after a first batch
        pytest.raises(RuntimeError, match="halfway"),
        disturbed.parquet_writer("t.parquet", schema) as writer,
    ):
        writer.write_table(pa.table({"a": [1]}))
        raise RuntimeError("halfway")
    with pytest.raises(RuntimeError, match="halfway"), disturbed.new_folder("models/base") as folder:  # noqa: PT012
        (folder / "weights").write_bytes(b"half")
        raise RuntimeError("halfway")
    assert proxy.requests == []


# --- rights --------------------------------------------------------------------------------------------------------


def test_a_store_without_write_access_is_told_before_anything_is_computed(
    s3_port: int, prefix: str, environment: dict[str, str]
) -> None:
    Store(uri(s3_port, prefix)).keep("study", "name: study\n", Path("study.yaml"))
    environment.update(READER.environment)
    store = Store(uri(s3_port, prefix), beat=0.2)
    store.check("study")
    with (
        pytest.raises(StoreError, match=r"cannot be written \(.*Access Denied.*\): give credentials"),
        store.exclusive(),
    ):
        pytest.fail("the store was held")


def test_keys_that_do_not_belong_together_are_told(s3_port: int, prefix: str, environment: dict[str, str]) -> None:
    environment.update(Keys(WRITER.key, "HIDDEN").environment)
    with pytest.raises(StoreError, match=r"cannot be read .*: give credentials that may read") as told:
        Store(uri(s3_port, prefix)).check("study")
    assert "HIDDEN" not in str(told.value)


def test_a_bucket_that_is_not_there_is_told(s3_port: int) -> None:
    root = uri(s3_port, "store").replace(BUCKET, "no-such-bucket")
    with pytest.raises(StoreError, match="make the bucket, or give another --store"):
        Store(root).write_text("a", "b")


# --- a writer that is killed ---------------------------------------------------------------------------------------

WRITE = textwrap.dedent("""\
    import sys
    from app.store import Record, Store
    store, size = Store(sys.argv[1]), int(sys.argv[2])
    for number in range(10**9):
        artefacts = {}
        with store.new_folder("checkpoints/run", artefacts) as folder:
            (folder / "weights").write_bytes(bytes([number % 256]) * size)
        store.write_record(Record("tune", "tune/run", {}, {"number": number}, artefacts=artefacts))
        print(number, flush=True)
""")


@pytest.mark.parametrize(("size", "after"), [(LARGE, 0.2), (LARGE, 0.5), (LARGE, 0.9), (3_000_000, 0.1)])
def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new(
    s3_port: int, prefix: str, size: int, after: float
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, uri(s3_port, prefix), str(size)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "0\n"
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.5)  # an upload that was sent to its end may still be put in its place
    store = Store(uri(s3_port, prefix))
    content = stored(store, "checkpoints/run/weights")
    assert len(content) == size
    assert len(set(content)) == 1
    record = store.read_record("tune/run")
    assert record is not None
    number = int(str(record.result["number"]))
    assert content[0] in (number % 256, (number + 1) % 256)
    # Weights of one tuning under the record of another do not pass for a finished cell.
    assert (store.damaged(record, deep=True) == "") == (content[0] == number % 256)


def test_an_upload_that_never_ended_shows_nothing(proxy: Proxy, s3_port: int, prefix: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, uri(proxy.port, prefix), str(LARGE)], stdout=subprocess.PIPE, text=True
    )
    proxy.hang("PUT", "partNumber=2")
    until = time.monotonic() + 60
    while not proxy.disturbed and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout
    assert process.stdout.read() == ""
    process.stdout.close()
    assert proxy.disturbed == 1
    assert direct(s3_port).get_file_info(f"{BUCKET}/{prefix}/checkpoints/run/weights").type == fs.FileType.NotFound
    assert Store(uri(s3_port, prefix)).survey() == ({}, {})
