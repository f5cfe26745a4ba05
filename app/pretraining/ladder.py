"""The ladder's models: six architectures of the `transformers` library at any small width and depth.

They are ordinary Hugging Face models, only small, so everything above this room treats them like any other base
model.
"""

from collections.abc import Callable, Mapping

import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GenerationConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

from app.plan import LadderSpec
from app.pretraining import rungs
from app.pretraining.rungs import HEAD_WIDTH, gated
from app.pretraining.vocabulary import CONTEXT, EOS, PAD, vocabulary

INITIAL_SPREAD = 0.1
"""Standard deviation of initial weights: near 1 / sqrt(width); the libraries' 0.02 is meant for widths of thousands."""
ROTARY = {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 1.0}
"""Rotary positions whose slowest turn spans the context; the libraries' base of 10,000 is meant for long contexts."""
POSITION_AMPLITUDE = 0.5
"""Learned position tables (gpt2, opt) start as sinusoids of this amplitude, so that neighbours are alike at once."""
POSITION_PERIOD = 128.0


def _gpt2(width: int, depth: int) -> PretrainedConfig:
    return GPT2Config(
        n_embd=width,
        n_layer=depth,
        n_head=width // HEAD_WIDTH,
        n_positions=CONTEXT,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )


def _llama(width: int, depth: int) -> PretrainedConfig:
    return LlamaConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD_WIDTH,
        num_key_value_heads=width // HEAD_WIDTH,
        intermediate_size=gated(width),
        max_position_embeddings=CONTEXT,
        rope_parameters=dict(ROTARY),
    )


def _neox(width: int, depth: int) -> PretrainedConfig:
    return GPTNeoXConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD_WIDTH,
        intermediate_size=4 * width,
        max_position_embeddings=CONTEXT,
        rope_parameters=dict(ROTARY),
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )


def _opt(width: int, depth: int) -> PretrainedConfig:
    return OPTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD_WIDTH,
        ffn_dim=4 * width,
        word_embed_proj_dim=width,
        max_position_embeddings=CONTEXT,
        dropout=0.0,
    )


def _bloom(width: int, depth: int) -> PretrainedConfig:
    return BloomConfig(
        hidden_size=width,
        n_layer=depth,
        n_head=width // HEAD_WIDTH,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )


def _qwen(width: int, depth: int) -> PretrainedConfig:
    # Qwen3, not Qwen2: AutoTokenizer replaces the tokenizer of a qwen2 checkpoint by Qwen's own class.
    return Qwen3Config(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD_WIDTH,
        num_key_value_heads=width // HEAD_WIDTH,
        head_dim=HEAD_WIDTH,
        intermediate_size=gated(width),
        max_position_embeddings=CONTEXT,
        rope_parameters=dict(ROTARY),
    )


_CONFIGS: Mapping[str, Callable[[int, int], PretrainedConfig]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "neox": _neox,
    "opt": _opt,
    "bloom": _bloom,
    "qwen": _qwen,
}


def config(family: str, width: int, depth: int) -> PretrainedConfig:
    """The Hugging Face configuration of one rung. Raises InputError as `rungs.check` does."""
    rungs.check(family, width, depth)
    made = _CONFIGS[family](width, depth)
    words = vocabulary()
    made.vocab_size = len(words)
    made.bos_token_id = None
    made.eos_token_id = words[EOS]
    made.pad_token_id = words[PAD]
    made.tie_word_embeddings = True
    setattr(made, "init_std" if family == "opt" else "initializer_range", INITIAL_SPREAD)
    return made


def build(spec: LadderSpec) -> PreTrainedModel:
    """The model of `spec` with its initial weights, which depend on architecture, size and seed only.

    Raises InputError as `config` does.
    """
    made = config(spec.family, spec.width, spec.depth)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(made)
    for table in position_tables(model):
        table.data.copy_(_sinusoids(*table.shape))
    model.generation_config = GenerationConfig(
        eos_token_id=made.eos_token_id, pad_token_id=made.pad_token_id, do_sample=False
    )
    return model


def position_tables(model: PreTrainedModel) -> list[torch.Tensor]:
    """The learned position embeddings of a model: none where positions are rotary or biases."""
    tables = [module.weight for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    words = model.get_input_embeddings().weight
    return [table for table in tables if table is not words]


def _sinusoids(positions: int, width: int) -> torch.Tensor:
    """Sines and cosines of geometrically falling frequency, shape [positions, width]."""
    half = width // 2
    frequencies = POSITION_PERIOD ** (-torch.arange(half) / half)
    angles = torch.arange(positions)[:, None] * frequencies
    return POSITION_AMPLITUDE * torch.cat([angles.sin(), angles.cos()], dim=1)
