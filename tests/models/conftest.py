"""Tiny random models of many families, and tokenizers trained on a few sentences."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

from app.models.loading import LoadedModel, ModelSource

TEXT = [
    "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\nQuestion: up\nAnswer: down\n\n",
    "The capital of France is Paris. The capital of Germany is Berlin, and 12 plus 30 is 42.",
    "Is it true? yes no maybe: the answer is yes, yes and no, never before, always after.",
]
SIZE = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {"intermediate_size": 64, "max_position_embeddings": 96, "initializer_range": 0.2}

CONFIGS: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    "gpt2": lambda: hf.GPT2Config(
        vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=96, initializer_range=0.2
    ),
    "llama": lambda: hf.LlamaConfig(**SIZE, **WIDE, num_key_value_heads=2),
    "gpt_neox": lambda: hf.GPTNeoXConfig(**SIZE, **WIDE),
    "opt": lambda: hf.OPTConfig(**SIZE, ffn_dim=64, max_position_embeddings=96, word_embed_proj_dim=16, init_std=0.2),
    "bloom": lambda: hf.BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2),
    "qwen2": lambda: hf.Qwen2Config(**SIZE, **WIDE, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": lambda: hf.Qwen3Config(**SIZE, **WIDE, num_key_value_heads=2, head_dim=8),
    "mistral": lambda: hf.MistralConfig(**SIZE, **WIDE, num_key_value_heads=2, sliding_window=8),
    "gemma2": lambda: hf.Gemma2Config(
        **SIZE, **WIDE, num_key_value_heads=2, head_dim=8, sliding_window=8, final_logit_softcapping=5.0
    ),
    "phi": lambda: hf.PhiConfig(**SIZE, **WIDE),
    "cohere": lambda: hf.CohereConfig(**SIZE, **WIDE, num_key_value_heads=2, logit_scale=0.3),
    "rwkv": lambda: hf.RwkvConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, context_length=96),
    "olmo2": lambda: hf.Olmo2Config(**SIZE, **WIDE, num_key_value_heads=2),
}


@cache
def _model(family: str) -> hf.PreTrainedModel:
    torch.manual_seed(7)
    config = CONFIGS[family]()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}[name])
    return hf.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


@cache
def _tokenizer(bos: bool, pad: bool) -> hf.PreTrainedTokenizerFast:
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXT, trainer)
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
        )
    names = {"bos_token": "<s>", "eos_token": "</s>", **({"pad_token": "<pad>"} if pad else {})}
    return hf.PreTrainedTokenizerFast(tokenizer_object=backend, **names)


@pytest.fixture(params=list(CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make_loaded() -> Callable[..., LoadedModel]:
    """family -> a model of it; every call gives the same weights, so a test that changes them asks for its own."""

    def make(family: str = "llama", bos: bool = True, pad: bool = True, own: bool = False) -> LoadedModel:
        model = _model.__wrapped__(family) if own else _model(family)
        return LoadedModel(model, _tokenizer(bos, pad), "cpu", ModelSource("checkpoint", f"tiny-{family}"))

    return make


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
