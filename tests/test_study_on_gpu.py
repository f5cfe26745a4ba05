"""A whole study whose cells ask for parts of a GPU, through Ray."""

import json
from pathlib import Path

import pytest
import torch
from small_study import TINY, finish, start

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def test_a_study_runs_on_a_gpu_and_its_records_say_so(tmp_path: Path) -> None:
    study, store = tmp_path / "tiny.yaml", tmp_path / "store"
    study.write_text(TINY.replace("sizes: [32x2],", "sizes: [32x2], dtype: bfloat16, resources: {gpus: 0.5},"))
    assert "8 cells computed, 0 reused, 0 failed" in finish(start(study, store))
    (tuned,) = (json.loads(file.read_text()) for file in (store / "records" / "tune").glob("*.json"))
    assert tuned["result"]["ways"]["adapters"] == "14 layers in fewer visits to memory"
    evaluated = [json.loads(file.read_text()) for file in (store / "records" / "evaluate").rglob("*.json")]
    assert {one["environment"]["device"] for one in evaluated} == {torch.cuda.get_device_name()}
    assert "0 cells computed, 8 reused, 0 failed" in finish(start(study, store))
