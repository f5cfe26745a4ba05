"""A record vouches for what its cell wrote: what is missing, cut short or altered is found and named."""

import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app import tables
from app.errors import StoreError
from app.identity import fingerprint
from app.store import Artefact, Record, Store

FOLDER, RESPONSES = "checkpoints/run", "tables/responses/llama.parquet"
WEIGHTS = f"{FOLDER}/adapter.safetensors"
Overwrite = Callable[[Store, str, bytes], None]


def tuned(store: Store) -> Record:
    """A checkpoint of three files with its record."""
    artefacts: dict[str, Artefact] = {}
    with store.new_folder(FOLDER, artefacts) as folder:
        (folder / "adapter.safetensors").write_bytes(bytes(range(256)) * 4_000)
        (folder / "config.json").write_text("{}")
        (folder / "deep").mkdir()
        (folder / "deep" / "empty").write_bytes(b"")
    record = Record("tune", "tune/run", {}, {}, artefacts=artefacts)
    store.write_record(record)
    return record


def evaluated(store: Store) -> Record:
    """A table of responses with its record."""
    artefacts: dict[str, Artefact] = {}
    schema = tables.schema("pairs")
    with store.parquet_writer(RESPONSES, schema, artefacts) as writer:
        writer.write_table(schema.empty_table())
    record = Record("evaluate", "evaluate/llama", {}, {}, artefacts=artefacts)
    store.write_record(record)
    return record


def content(store: Store, relative: str) -> bytes:
    with store.filesystem.open_input_stream(store.path(relative)) as stream:
        return stream.read()


def test_a_record_tells_size_and_hash_of_all_that_its_cell_wrote(store: Store) -> None:
    run = tuned(store)
    assert sorted(run.artefacts) == [WEIGHTS, f"{FOLDER}/config.json", f"{FOLDER}/deep/empty"]
    assert run.artefacts[WEIGHTS].bytes == 1_024_000
    assert run.artefacts[f"{FOLDER}/config.json"] == Artefact(
        2, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert run.artefacts[f"{FOLDER}/deep/empty"].bytes == 0
    assert store.read_record("tune/run") == run
    evaluation = evaluated(store)
    assert evaluation.artefacts[RESPONSES].bytes == len(content(store, RESPONSES))
    assert store.survey() == ({"evaluate/llama": evaluation, "tune/run": run}, {})
    assert store.damaged(run, deep=True) == store.damaged(evaluation, deep=True) == ""


def test_a_file_that_is_cut_short_is_named_and_its_record_counts_as_none(store: Store, overwrite: Overwrite) -> None:
    run, evaluation = tuned(store), evaluated(store)
    whole = content(store, RESPONSES)
    overwrite(store, RESPONSES, whole[:-7])
    found = store.survey()
    assert found.records == {"tune/run": run}
    sentence = f"{RESPONSES} is damaged: it has {len(whole) - 7} bytes and was written with {len(whole)}"
    assert found.flaws["evaluate/llama"].endswith(sentence)
    assert store.damaged(evaluation).endswith(sentence)
    assert store.damaged(run) == ""


def test_a_file_that_is_gone_is_named(store: Store) -> None:
    run = tuned(store)
    store.filesystem.delete_file(store.path(WEIGHTS))
    assert store.survey().flaws["tune/run"].endswith(f"{WEIGHTS} is missing")
    assert store.damaged(run).endswith(f"{WEIGHTS} is missing")


def test_an_altered_byte_is_found_by_a_deep_look_alone(store: Store, overwrite: Overwrite) -> None:
    run = tuned(store)
    altered = bytearray(content(store, WEIGHTS))
    altered[500_000] ^= 1
    overwrite(store, WEIGHTS, bytes(altered))
    assert store.damaged(run) == ""
    assert store.damaged(run, deep=True).endswith(f"{WEIGHTS} is damaged: its content is not what was written")


def test_a_damaged_checkpoint_is_not_loaded_and_is_made_anew(store: Store, overwrite: Overwrite) -> None:
    run = tuned(store)
    good = content(store, WEIGHTS)
    assert (store.folder(FOLDER, "mark", run) / "adapter.safetensors").read_bytes() == good
    overwrite(store, WEIGHTS, b"x" * len(good))
    fresh = Store(store.root)
    if store.local is None:  # another node, which has no copy yet
        shutil.rmtree(cached(store, run))
    with pytest.raises(StoreError, match=r"adapter\.safetensors is damaged: .*; run the same command again"):
        fresh.folder(FOLDER, "mark", run)
    assert fresh.read_record("tune/run") is None
    again = tuned(fresh)
    assert again == run
    assert (fresh.folder(FOLDER, "mark", again) / "adapter.safetensors").read_bytes() == good


def cached(store: Store, run: Record) -> Path:
    hashes = [one.sha256 for one in run.artefacts.values()]
    return Path(tempfile.gettempdir()) / "fewtune-cache" / fingerprint([store.root, FOLDER, "mark", hashes])


def test_a_damaged_copy_of_a_sound_checkpoint_is_fetched_anew(s3_port: int, store: Store) -> None:
    run = tuned(store)
    if store.local is not None:
        return  # a local folder is used where it lies
    copy = store.folder(FOLDER, "mark", run)
    good = (copy / "adapter.safetensors").read_bytes()
    (copy / "adapter.safetensors").write_bytes(b"half")
    assert (store.folder(FOLDER, "mark", run) / "adapter.safetensors").read_bytes() == good
    assert store.read_record("tune/run") == run


def test_a_new_folder_replaces_all_files_of_the_old(store: Store) -> None:
    tuned(store)
    with store.new_folder(FOLDER) as folder:
        (folder / "model.safetensors").write_bytes(b"whole")
    assert [path.name for path in store.folder(FOLDER, "other mark").rglob("*") if path.is_file()] == [
        "model.safetensors"
    ]


def test_records_of_older_stores_are_read_and_count_as_unverified(store: Store) -> None:
    old = '{"kind": "tune", "slug": "tune/old", "inputs": {"a": 1}, "result": {}, "seconds": 1.0, "environment": {}}'
    store.write_text("records/tune/old.json", old)
    with store.new_folder(FOLDER) as folder:
        (folder / "weights").write_bytes(b"any")
    found = store.survey()
    assert found.flaws == {}
    record = found.records["tune/old"]
    assert record.artefacts == {}
    assert store.damaged(record, deep=True) == ""
    assert (store.folder(FOLDER, "mark", record) / "weights").read_bytes() == b"any"


def test_the_same_cell_has_the_same_artefacts_wherever_it_is_stored(store: Store, tmp_path: Path) -> None:
    assert tuned(store).artefacts == tuned(Store(tmp_path / "elsewhere")).artefacts
    assert pickle.loads(pickle.dumps(tuned(store))) == tuned(store)  # noqa: S301


def test_what_was_written_reads_back_as_parquet(store: Store) -> None:
    evaluated(store)
    with store.open_input(RESPONSES) as stream:
        assert pq.read_table(stream).num_rows == 0


def test_reading_a_table_that_is_cut_short_is_a_sentence(store: Store, overwrite: Overwrite) -> None:
    evaluated(store)
    overwrite(store, RESPONSES, content(store, RESPONSES)[:-20])
    with (
        pytest.raises(StoreError, match=r"llama\.parquet is damaged or cannot be read"),
        store.open_input(RESPONSES) as stream,
    ):
        pq.read_table(stream)
    with (
        pytest.raises(StoreError, match=r"none\.parquet is not there"),
        store.open_input("tables/responses/none.parquet") as stream,
    ):
        pq.read_table(stream)
