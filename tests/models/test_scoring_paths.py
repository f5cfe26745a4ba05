"""Every way of scoring gives the numbers of one forward for each option; every family takes its fastest way."""

from collections.abc import Callable

import pytest
import torch
import transformers as hf

from app.models import forwards, trees
from app.models.loading import LoadedModel, ModelSource
from app.models.plain_scoring import plain
from app.models.scoring import OptionScores, Scorer, ScoreRequest, score

Make = Callable[..., LoadedModel]

SMALL = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
LLAMA = {**SMALL, "max_position_embeddings": 256, "initializer_range": 0.2, "num_key_value_heads": 2}

# Beside those of conftest: the other architectures of the catalogue and of the paper's studies.
MORE: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    "falcon-rotary": lambda: hf.FalconConfig(
        **SMALL, alibi=False, multi_query=True, new_decoder_architecture=False, initializer_range=0.2
    ),
    "falcon-alibi": lambda: hf.FalconConfig(
        **SMALL, alibi=True, multi_query=False, new_decoder_architecture=False, initializer_range=0.2
    ),
    "mpt": lambda: hf.MptConfig(vocab_size=300, d_model=32, n_heads=4, n_layers=2, max_seq_len=256),
    "phi3": lambda: hf.Phi3Config(**LLAMA, pad_token_id=0),
    "gemma3": lambda: hf.Gemma3TextConfig(
        **{**LLAMA, "num_hidden_layers": 6}, head_dim=8, sliding_window=64, attn_logit_softcapping=None
    ),
    "gemma2": lambda: hf.Gemma2Config(**LLAMA, head_dim=8, sliding_window=64, final_logit_softcapping=5.0),
    "stablelm": lambda: hf.StableLmConfig(**LLAMA),
    "granite": lambda: hf.GraniteConfig(**LLAMA, logits_scaling=3.0, embedding_multiplier=2.0),
    "mistral": lambda: hf.MistralConfig(**LLAMA, sliding_window=48),
    "mixtral": lambda: hf.MixtralConfig(**LLAMA, num_local_experts=4, num_experts_per_tok=2),
    "gptj": lambda: hf.GPTJConfig(
        vocab_size=300, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=256, initializer_range=0.2
    ),
    "gpt_neo": lambda: hf.GPTNeoConfig(
        vocab_size=300, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        max_position_embeddings=256, window_size=48, initializer_range=0.2,
    ),
    "mamba": lambda: hf.MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, state_size=8),
}  # fmt: skip
PATHS = {
    "falcon-rotary": "tree", "falcon-alibi": "cache", "mpt": "cache", "phi3": "tree", "gemma3": "tree",
    "gemma2": "tree", "stablelm": "tree", "granite": "tree", "mistral": "tree", "mixtral": "tree",
    "gptj": "tree", "gpt_neo": "tree", "mamba": "rows", "gpt2": "tree", "llama": "tree",
    "gpt_neox": "tree", "opt": "tree", "bloom": "cache",
    "qwen2": "tree", "qwen3": "tree", "phi": "tree", "cohere": "tree", "rwkv": "rows", "olmo2": "tree",
}  # fmt: skip

SHOTS = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\n"
SHARED = [
    ScoreRequest(f"{SHOTS}Question: {asked}\nAnswer:", (" down", " yes, yes and never", " yes, yes", " no", " yes"))
    for asked in ("up", "is it true", "the capital of France is Paris, the answer is", "up")
]
APART = [
    ScoreRequest("Is it true? ", ("yes", "no", "maybe: the answer is yes")),
    ScoreRequest("", (" yes", "no")),
    ScoreRequest("neve", ("r", "r before")),
]


def build(config: hf.PreTrainedConfig, like: LoadedModel) -> LoadedModel:
    torch.manual_seed(7)
    model = hf.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    return LoadedModel(model, like.tokenizer, "cpu", ModelSource("checkpoint", "tiny"))


def assert_same(found: list[OptionScores], expected: list[OptionScores]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert one._replace(logprobs=()) == other._replace(logprobs=())
        assert one.logprobs.index(max(one.logprobs)) == other.logprobs.index(max(other.logprobs))


@pytest.mark.parametrize("name", list(MORE))
def test_each_architecture_gives_the_plain_numbers_by_its_fastest_way(make_loaded: Make, name: str) -> None:
    loaded = build(MORE[name](), make_loaded())
    for requests in (SHARED, APART, [*SHARED, *APART]):
        expected = plain(loaded, requests)
        for batch_tokens in (1, 8_192):
            assert_same(score(loaded, requests, batch_tokens), expected)
    assert Scorer(loaded).path == PATHS[name]


def test_the_other_families_take_their_fastest_way(make_loaded: Make, family: str) -> None:
    loaded = make_loaded(family)
    # A window of 8 tokens is shorter than what the tree is tried on.
    assert Scorer(loaded).path == PATHS.get(family if family not in ("mistral", "gemma2") else "", "cache")
    assert_same(score(loaded, SHARED, 8_192), plain(loaded, SHARED))


def test_a_context_beyond_the_window_leaves_the_tree(make_loaded: Make) -> None:
    loaded = build(MORE["mistral"](), make_loaded())
    long = [ScoreRequest(SHOTS * 2 + one.context, one.options) for one in SHARED]
    assert forwards.window(loaded.model) == 48
    assert min(found.prompt_tokens for found in plain(loaded, long)) > 48
    scorer = Scorer(loaded, 8_192)
    assert_same(scorer.score([*SHARED, *long]), plain(loaded, [*SHARED, *long]))
    assert (scorer.path, scorer.beyond_window >= len({one.context for one in long})) == ("tree", True)


def test_a_tree_that_ignored_the_window_would_give_other_numbers(make_loaded: Make) -> None:
    loaded = build(MORE["mistral"](), make_loaded())
    context, option = tuple(range(3, 103)), (7, 8, 9)
    item = forwards.Item(context, (option,))
    with torch.inference_mode():
        seen = torch.cat([*forwards.through_tree(loaded.model, None, [item]).parts])
        whole = loaded.model(torch.tensor([context + option])).logits[0, len(context) - 1 : -1]
    assert (seen - whole).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_what_contexts_begin_with_is_computed_once_for_all_calls(make_loaded: Make, name: str) -> None:
    loaded = make_loaded(name)
    widths: list[int] = []
    embed = loaded.model.get_input_embeddings()
    hook = embed.register_forward_hook(lambda _, given, __: widths.append(given[0].numel()))
    try:
        scorer = Scorer(loaded, 8_192)
        scorer.score(SHARED[:2])
        begun = sum(widths)
        scorer.score(SHARED[2:])
    finally:
        hook.remove()
    shots = len(loaded.tokenizer(SHOTS).input_ids)
    assert begun > shots
    assert sum(widths) - begun < shots + 60  # two items of at most 30 tokens, and not the demonstrations again
    assert_same(Scorer(loaded).score(SHARED[2:]), plain(loaded, SHARED[2:]))


def test_equal_calls_give_equal_bits(make_loaded: Make) -> None:
    loaded = make_loaded("llama")
    assert score(loaded, SHARED, 100) == score(loaded, SHARED, 100)


def test_logits_are_made_where_they_are_asked_for(make_loaded: Make) -> None:
    config = hf.LlamaConfig(**{**LLAMA, "vocab_size": 128_000})
    loaded = build(config, make_loaded())
    score(loaded, APART, 8_192)  # what is tried once for a model
    rows: list[int] = []
    hook = loaded.model.lm_head.register_forward_hook(lambda _, given, __: rows.append(given[0][..., 0].numel()))
    try:
        found = score(loaded, SHARED, 8_192)
    finally:
        hook.remove()
    asked = sum(sum(one.tokens) for one in found)
    assert 0 < sum(rows) <= asked
    assert max(rows) * 128_000 <= 2**25


def test_many_options_take_several_rows(make_loaded: Make) -> None:
    loaded = make_loaded("llama")
    words = ["yes", "no", "down", "up", "Paris", "Berlin", "never", "before"]
    options = tuple(f" {a} {b} {c} {d}" for a in words for b in words[:4] for c in words[:3] for d in words[:2])
    request = [ScoreRequest("Question: up\nAnswer:", options)]
    assert_same(score(loaded, request, 512), plain(loaded, request))


def test_branches_share_their_beginnings_and_see_nothing_else() -> None:
    tree = trees.grow((5, 6), ((1, 2, 3), (1, 2, 4), (1, 9), (7,)))
    assert tree.tokens == (5, 6, 1, 2)
    assert tree.paths == ((1, 2, 3), (1, 2, 3), (1, 2), (1,))
    apart = trees.grow((5, 6), ((1, 2, 3), (4, 2, 3)))
    assert apart.tokens == (5, 6, 1, 2, 4, 2)
    assert apart.depths == (0, 1, 2, 3, 2, 3)
    forest = trees.plant([apart, trees.grow((8,), ((1,),))], 2, torch.float32, torch.device("cpu"))
    assert forest.positions[0].tolist() == [2, 3, 4, 5, 4, 5]
    seen = (forest.mask[0, 0] == 0).int().tolist()
    assert seen[4] == [1, 1, 1, 1, 0, 0, 1, 0]
    assert seen[5] == [1, 1, 1, 1, 0, 0, 1, 1]
    assert (forest.mask[1, 0, 0] == 0).int().tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
