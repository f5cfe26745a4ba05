"""A store holds whole things or none, belongs to one study and to one run at a time, wherever it lies."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app import tables
from app.errors import StoreError
from app.store import Record, Store

RECORD = Record("tune", "tune/llama.lora-s0", {"rate": 0.1, "text": "ä"}, {"loss": 1.5}, 2.0, {"python": "3.11"})


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_record_reads_back_as_it_was_written(store: Store) -> None:
    assert store.read_record(RECORD.slug) is None
    store.write_record(RECORD)
    assert store.read_record(RECORD.slug) == RECORD
    assert store.read_record(RECORD.slug).fingerprint == RECORD.fingerprint  # type: ignore[union-attr]


def test_records_are_listed_by_slug_and_kind_and_can_be_forgotten(store: Store) -> None:
    assert store.records() == {}
    other = Record("evaluate", "evaluate/llama/base-zero-shot/job", {}, {})
    for record in (RECORD, other):
        store.write_record(record)
    assert list(store.records()) == [other.slug, RECORD.slug]
    assert list(store.records("tune")) == [RECORD.slug]
    store.delete_record(RECORD.slug)
    store.delete_record(RECORD.slug)
    assert list(store.records()) == [other.slug]


def test_a_store_survives_pickling_and_opens_the_same_files(store: Store) -> None:
    store.write_text("a/b.txt", "text")
    assert pickle.loads(pickle.dumps(store)).read_text("a/b.txt") == "text"  # noqa: S301


def test_a_store_is_the_same_by_path_and_by_uri(tmp_path: Path) -> None:
    by_path, by_uri = Store(tmp_path / "store"), Store((tmp_path / "store").as_uri())
    by_path.write_record(RECORD)
    assert by_uri.records() == by_path.records() != {}
    assert by_uri.local == by_path.local


@pytest.mark.parametrize("relative", ["../other", "/etc/passwd", "a/../../b"])
def test_a_path_that_leads_out_is_refused(store: Store, relative: str) -> None:
    for act in (store.path, store.read_text, lambda path: store.write_text(path, "x")):
        with pytest.raises(StoreError, match="leads out of the store"):
            act(relative)


@pytest.mark.parametrize("root", ["nothing://x/y", "s4://bucket"])
def test_a_uri_that_no_file_system_answers_is_told(root: str) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(root)


def claim(store: Store, study: str, text: str) -> None:
    """What a run does before it writes anything."""
    store.check(study)
    store.keep(study, text, Path("study.yaml"))


# --- whose store it is -------------------------------------------------------------------------------------------


def test_a_store_belongs_to_the_study_that_claimed_it(store: Store) -> None:
    claim(store, "mine", "name: mine\n")
    claim(store, "mine", "name: mine # again\n")
    assert store.read_text("study.yaml") == "name: mine # again\n"
    with pytest.raises(StoreError, match="is the store of the study mine, not of yours"):
        claim(store, "yours", "")
    assert store.read_text("study.yaml") == "name: mine # again\n"


@pytest.mark.parametrize("thing", ["notes.txt", "photos/one.jpg", ".config/settings"])
def test_a_folder_of_something_else_is_not_taken_over(local_store: Store, thing: str) -> None:
    assert local_store.local
    path = local_store.local / thing
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(StoreError, match="not empty and not a FewTune store"):
        claim(local_store, "study", "")
    assert files(local_store.local) == {thing}


def test_an_empty_folder_can_become_a_store(local_store: Store) -> None:
    assert local_store.local
    local_store.local.mkdir()
    with local_store.exclusive():
        claim(local_store, "study", "")
    header = local_store.header()
    assert header is not None
    assert header["study"] == "study"


@pytest.mark.parametrize("text", ['{"format": 2, "study": "s"}', "{", "[]", '{"format": 1}'])
def test_a_header_that_is_no_header_is_refused_in_a_sentence(store: Store, text: str) -> None:
    store.write_text("store.json", text)
    with pytest.raises(StoreError):
        claim(store, "s", "")


def test_a_store_below_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError), Store(tmp_path / "file" / "store").exclusive():
        pass


# --- one run at a time -------------------------------------------------------------------------------------------

HOLD = textwrap.dedent("""\
    import sys, time
    from app.store import Store
    with Store(sys.argv[1]).exclusive():
        print("held", flush=True)
        time.sleep(600)
""")


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_run_is_refused_until_the_first_is_gone_even_by_a_kill(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="another run is using"), store.exclusive():
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with store.exclusive():
        claim(store, "study", "")


def test_a_lock_is_free_again_after_its_block(store: Store) -> None:
    for _ in range(2):
        with store.exclusive(), pytest.raises(StoreError, match="another run"), store.exclusive():
            pass


# --- whole or absent ---------------------------------------------------------------------------------------------

WRITE = textwrap.dedent("""\
    import sys
    from app.store import Record, Store
    store = Store(sys.argv[1])
    for number in range(10**9):
        text = str(number) * 50_000
        store.write_record(Record("tune", f"tune/{number % 5}", {"text": text}, {"text": text}))
        print(number, flush=True)
""")


@pytest.mark.parametrize("after", [3, 7])
def test_a_writer_that_is_killed_leaves_no_damaged_record(after: int, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for _ in range(after):
        assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)  # most probably within a write: they take nearly all of its time
    process.wait()
    process.stdout.close()
    records = Store(tmp_path).records()
    assert len(records) >= min(after, 5)
    for record in records.values():
        assert record.inputs["text"] == record.result["text"]
        assert len(str(record.inputs["text"])) % 50_000 == 0


def test_a_file_whose_writing_fails_does_not_appear(local_store: Store) -> None:
    schema = tables.schema("pairs")
    with (  # noqa: PT012 - the fault is to come after a first batch
        pytest.raises(RuntimeError, match="halfway"),
        local_store.parquet_writer("tables/pairs.parquet", schema) as writer,
    ):
        writer.write_table(schema.empty_table())
        raise RuntimeError("halfway")
    assert local_store.local
    assert not local_store.exists("tables/pairs.parquet")
    assert files(local_store.local) == set()


def test_a_file_whose_rewriting_fails_stays_as_it_was(store: Store) -> None:
    store.write_table("pairs", "t.parquet", tables.schema("pairs").empty_table())
    with pytest.raises(StoreError):
        store.write_table("pairs", "t.parquet", tables.schema("scores").empty_table())
    assert store.read_table("pairs", "t.parquet").num_rows == 0


def test_a_table_that_is_not_there_is_told(store: Store) -> None:
    with pytest.raises(StoreError, match="run the study first"):
        store.read_table("pairs", "tables/pairs.parquet")


@pytest.mark.parametrize("text", [b"", b"{", b'{"kind": "tune"}', b"[]", b'{"what": 1}', b"\xff\x00\x01"])
def test_a_damaged_record_counts_as_none_and_is_named(
    store: Store, overwrite: Callable[[Store, str, bytes], None], text: bytes
) -> None:
    sound = replace(RECORD, slug="tune/sound")
    for record in (RECORD, sound):
        store.write_record(record)
    overwrite(store, f"records/{RECORD.slug}.json", text)
    assert store.read_record(RECORD.slug) is None
    assert store.records() == {sound.slug: sound}
    found = store.survey()
    assert found.records == {sound.slug: sound}
    assert list(found.flaws) == [RECORD.slug]
    assert "lora-s0.json is damaged" in found.flaws[RECORD.slug]


def test_a_new_folder_takes_its_place_whole_and_replaces_the_old(local_store: Store) -> None:
    for text in ("one", "two"):
        with local_store.new_folder("checkpoints/run") as folder:
            (folder / "weights").write_text(text)
            (folder / text).write_text("")
            found = local_store.exists("checkpoints/run/weights") and local_store.read_text("checkpoints/run/weights")
            assert found == (False if text == "one" else "one")
    assert local_store.local
    assert files(local_store.local) == {"checkpoints/run/weights", "checkpoints/run/two"}
    assert local_store.folder("checkpoints/run", "mark").joinpath("weights").read_text() == "two"


def test_a_new_folder_whose_filling_fails_leaves_the_old_one(local_store: Store) -> None:
    with local_store.new_folder("models/base") as folder:
        (folder / "weights").write_text("one")
    with (  # noqa: PT012 - the fault is to come after a first file
        pytest.raises(RuntimeError),
        local_store.new_folder("models/base") as folder,
    ):
        (folder / "weights").write_text("two")
        raise RuntimeError
    assert local_store.local
    assert local_store.read_text("models/base/weights") == "one"
    assert files(local_store.local) == {"models/base/weights"}


def test_a_folder_that_is_missing_is_told(store: Store) -> None:
    with pytest.raises(StoreError, match="is missing although its record is there"):
        store.folder("checkpoints/run", "mark")


def test_a_folder_is_deleted_with_all_that_is_in_it(store: Store) -> None:
    store.write_text("trials/a/b.txt", "x")
    store.delete_folders("trials", "a")
    store.delete_folders("trials", "a")
    assert not store.exists("trials/a")


def test_unfinished_files_are_no_records(store: Store) -> None:
    store.write_text("records/tune/a.json.0000.tmp", "{")
    assert store.records() == {}


def test_tidying_removes_what_a_killed_run_had_begun_and_nothing_else(local_store: Store) -> None:
    local_store.write_record(RECORD)
    local_store.write_text("models/base.1234.tmp/weights", "half")
    local_store.write_text("tables/t.parquet.1234.tmp", "half")
    local_store.tidy()
    assert local_store.local
    assert files(local_store.local) == {f"records/{RECORD.slug}.json"}
    assert not local_store.exists("models/base.1234.tmp")
