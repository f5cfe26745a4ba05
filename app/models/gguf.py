"""A GGUF file as a base model: de-quantised into plain weights.

De-quantising once gives an ordinary model that can be tuned and scored like any other. The values stay those of the
quantised file: a Q4 model in float32 is still a Q4 model.
"""

import importlib.util
from pathlib import Path
from typing import cast

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.integrations.gguf.reader import read_gguf_metadata

from app.errors import ModelError
from app.models.files import gguf_file

_SINGLE_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell"}
"""Values of tokenizer.ggml.pre whose vocabularies were learned on single digits (llama.cpp, src/llama-vocab.cpp)."""


def load(location: str, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Model and tokenizer of a GGUF file, the weights de-quantised into `dtype`.

    Raises ModelError where the file is absent or the package gguf is not installed; faults of reading propagate.
    """
    path = gguf_file(location)
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(f"{location}: reading GGUF files needs the package gguf: pip install 'fewtune[gguf]'")
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    _restore_digits(tokenizer, path)
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
    )
    if hasattr(model.config, "quantization_config"):
        # The weights are plain now; a checkpoint that still claimed to be GGUF could not be loaded again.
        delattr(model.config, "quantization_config")
    return model, tokenizer


def _restore_digits(tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Split digits as the vocabulary was learned: transformers 5.23 knows fewer pre-tokenizers than GGUF files name."""
    metadata, _ = read_gguf_metadata(str(path))
    if metadata.get("tokenizer.ggml.pre") in _SINGLE_DIGITS:
        backend = tokenizer.backend_tokenizer
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                cast(pre_tokenizers.PreTokenizer, pre_tokenizers.ByteLevel(add_prefix_space=False)),
            ]
        )
