"""The part that needs a GPU, run on the CPU with tiny shapes: its arithmetic and its gates are the same there."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from app.errors import InputError
from app.tuning.encoding import Encoded
from jobs.bench import document, gpu
from jobs.bench.document import Options, Section

WORK = gpu.Work("cpu", 64, "ladder-small", (4, 16), 4, 3, ("ladder-small",), (1, 8), 3, 2)
OPTIONS = Options(items=2, rounds=1)


def test_without_a_gpu_it_refuses_in_a_sentence_and_says_so_in_the_document(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    for name, part in {"gpu-tuning": gpu.tuning_part, "gpu-scoring": gpu.scoring_part}.items():
        with pytest.raises(InputError, match=f"the part {name} needs a GPU"):
            part(OPTIONS)
        document.keep(name, gpu.absent(name), tmp_path)
    text = (tmp_path / "bench.md").read_text()
    assert text.count("Not measured: this machine has no GPU") == 2
    assert "tuning llama-1b by LoRA in bfloat16 | not measured | at least 40 % of the peak | - |" in text


def test_flops_are_those_of_the_definition() -> None:
    config = LlamaConfig(vocab_size=100, hidden_size=8, num_hidden_layers=2, num_attention_heads=2)
    rows = [Encoded((1, 2, 3, 4), 2), Encoded((5, 6), 1)]
    attention = 6 * 2 * 8 * (16 + 4)
    assert gpu.flops(config, 1_000, 50, rows) == 6 * (4 * 1_000 + 6 * 50) + 3 * 4 * 800 + attention


def test_tuning_is_measured_against_the_peak(tmp_path: Path) -> None:
    section = Section("GPU", "")
    gpu.tune(WORK, OPTIONS, tmp_path, section)
    assert section.figures["peak FLOP/s"] > 0
    assert section.figures["utilisation, one by one"] > 0
    (target,) = section.targets
    assert target.found == pytest.approx(100 * section.figures["utilisation, one by one"])


def test_scoring_passes_its_gates_in_float32_and_states_what_bfloat16_changes(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    section = Section("GPU", "")
    gpu.score(WORK, "ladder-small", OPTIONS, tmp_path, section)
    assert section.gates
    assert all(gate.passed for _, gate in section.gates)
    assert len(section.tables[0].rows) == len(section.targets) == 2
    assert all(target.found for target in section.targets)
