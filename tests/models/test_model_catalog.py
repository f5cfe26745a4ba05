"""The list of known base models is consistent and light to import."""

import subprocess
import sys

import pytest
import torch
import transformers as hf

from app.models.catalog import BYTES, KNOWN_BASES, memory_gb
from app.models.loading import DTYPES


def test_ids_are_unique_and_families_stand_together_by_size() -> None:
    ids = [known.id for known in KNOWN_BASES]
    assert len(set(ids)) == len(ids)
    families = list(dict.fromkeys(known.family for known in KNOWN_BASES))
    order = sorted(KNOWN_BASES, key=lambda known: (families.index(known.family), known.parameters))
    assert list(KNOWN_BASES) == order


def test_memory_follows_from_parameters_and_precision() -> None:
    assert memory_gb(1_000_000_000, "float32") == 4.0
    assert memory_gb(1_000_000_000, "bfloat16") == 2.0
    assert memory_gb(8_030_261_248, "nf4") == pytest.approx(4.52, abs=0.01)
    assert set(BYTES) == {*DTYPES, "nf4"}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("openai-community/gpt2", hf.GPT2Config()),
        ("EleutherAI/pythia-70m", hf.GPTNeoXConfig(
            vocab_size=50304, hidden_size=512, num_hidden_layers=6, num_attention_heads=8, intermediate_size=2048
        )),
        ("HuggingFaceTB/SmolLM2-135M", hf.LlamaConfig(
            vocab_size=49152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
            intermediate_size=1536, tie_word_embeddings=True,
        )),
        ("EleutherAI/pythia-14m", hf.GPTNeoXConfig(
            vocab_size=50304, hidden_size=128, num_hidden_layers=6, num_attention_heads=4, intermediate_size=512
        )),
        ("allenai/OLMo-2-0325-32B", hf.Olmo2Config(
            vocab_size=100352, hidden_size=5120, num_hidden_layers=64, num_attention_heads=40, num_key_value_heads=8,
            intermediate_size=27648,
        )),
        ("tiiuae/Falcon3-10B-Base", hf.LlamaConfig(
            vocab_size=131072, hidden_size=3072, num_hidden_layers=40, num_attention_heads=12, num_key_value_heads=4,
            head_dim=256, intermediate_size=23040,
        )),
        ("meta-llama/Llama-2-70b-hf", hf.LlamaConfig(
            vocab_size=32000, hidden_size=8192, num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8,
            intermediate_size=28672,
        )),
    ],
)  # fmt: skip
def test_parameters_and_shape_are_those_of_the_architecture(name: str, config: hf.PreTrainedConfig) -> None:
    with torch.device("meta"):
        model = hf.AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    known = next(known for known in KNOWN_BASES if known.id == name)
    assert known.parameters == model.num_parameters()
    assert known.shape[:2] == (config.num_hidden_layers, config.hidden_size)
    # Every matrix of the layers is a linear module: embeddings and the head lie outside them.
    layers = next(module for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    matrices = [one for one in layers[0].parameters() if one.dim() == 2]
    assert known.shape.linear == sum(sum(matrix.shape) for matrix in matrices)


def test_the_catalogue_needs_no_engine() -> None:
    code = "import sys, app.models.catalog; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
