"""Files of a store are damaged between two runs: each is found and named, and only what it held is computed again."""

import shutil
from pathlib import Path

import pytest
from small_study import finish, start, tables

pytestmark = pytest.mark.timeout(600)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_truncated_and_corrupted_files_are_named_and_made_again(
    small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed, store)
    responses = sorted((store / "tables" / "responses").rglob("*.parquet"))[3]
    (adapter,) = (store / "checkpoints").glob("llama*lora*/adapter_model.safetensors")
    record = sorted((store / "records" / "evaluate").rglob("*.json"))[-1]
    for path in (responses, adapter, record, store / "tables" / "scores.parquet"):
        truncate(path)
    run = start(small_study, store)
    output = finish(run)
    assert run.returncode == 0, output
    for path in (responses, adapter, record):
        assert str(path.relative_to(store)) in output.replace("\n", "")
    assert "3 cells computed, 35 reused, 0 failed" in output
    assert tables(store) == tables(undisturbed)


@pytest.mark.chaos
def test_a_checkpoint_with_a_changed_byte_is_found_when_it_is_loaded(
    small_study: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed, store)
    (adapter,) = (store / "checkpoints").glob("llama*lora*/adapter_model.safetensors")
    content = bytearray(adapter.read_bytes())
    content[-3] ^= 0x40
    adapter.write_bytes(bytes(content))
    run_slug = adapter.parent.name
    for record in (store / "records" / "evaluate" / run_slug).rglob("*.json"):
        record.unlink()
    run = start(small_study, store)
    output = finish(run)
    assert run.returncode == 1
    assert "adapter_model.safetensors" in output
    run = start(small_study, store)  # what was damaged is no longer taken for done
    output = finish(run)
    assert run.returncode == 0, output
    assert tables(store) == tables(undisturbed)
