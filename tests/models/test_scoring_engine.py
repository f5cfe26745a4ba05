"""The engine as a whole: the ladder, hybrids, half precision, adapters, cells in turn, memory that runs out."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from peft import LoraConfig, get_peft_model

from app.errors import CellError
from app.models import forwards
from app.models.adapters import detach, with_adapter
from app.models.loading import LoadedModel, ModelSource
from app.models.plain_scoring import plain
from app.models.scoring import OptionScores, Scorer, ScoreRequest, score
from app.pretraining import ladder, rungs

Make = Callable[..., LoadedModel]

SHAPE = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
HYBRIDS: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    "falcon_h1": lambda: hf.FalconH1Config(
        **SHAPE, intermediate_size=64, num_key_value_heads=2, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8,
        mamba_d_state=8, mamba_chunk_size=16, pad_token_id=0,
    ),
    "lfm2": lambda: hf.Lfm2Config(
        **SHAPE, intermediate_size=64, num_key_value_heads=2, layer_types=["conv", "full_attention"], pad_token_id=0,
    ),
    "recurrent_gemma": lambda: hf.RecurrentGemmaConfig(
        **{**SHAPE, "num_hidden_layers": 3}, intermediate_size=64, lru_width=32, attention_window_size=32,
        num_key_value_heads=1,
    ),
}  # fmt: skip
LADDER = {"gpt2": "tree", "llama": "tree", "neox": "tree", "opt": "tree", "bloom": "cache", "qwen": "tree"}
SHOTS = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\n"
OPTIONS = (" down", " yes, yes and never", " yes, yes", " no", " yes")
ASKED = ("up", "is it true", "the capital of France is Paris, and that of Germany is", "never before", "up")
SHARED = [ScoreRequest(f"{SHOTS}Question: {asked}\nAnswer:", OPTIONS) for asked in ASKED]
OTHER = [ScoreRequest(f"Is it true? {asked}\nAnswer:", (" no", " yes", " no")) for asked in ASKED]
APART = [
    ScoreRequest("", (" yes", "no")),
    ScoreRequest("neve", ("r", "r before")),
    ScoreRequest("Is it true? ", ("yes", "no")),
    ScoreRequest("Is it true?", (" yes",)),
]
LONG = [ScoreRequest("Is it true? yes no " * 60 + f"{asked}\nAnswer:", OPTIONS) for asked in ASKED]


def tiny(model: hf.PreTrainedModel, like: LoadedModel) -> LoadedModel:
    return LoadedModel(model.eval().requires_grad_(False), like.tokenizer, "cpu", ModelSource("checkpoint", "tiny"))


def assert_same(found: list[OptionScores], expected: list[OptionScores]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert one._replace(logprobs=()) == other._replace(logprobs=())
        assert one.logprobs.index(max(one.logprobs)) == other.logprobs.index(max(other.logprobs))


@pytest.mark.parametrize("name", rungs.FAMILIES)
def test_every_architecture_of_the_ladder_gives_the_plain_numbers(make_loaded: Make, name: str) -> None:
    torch.manual_seed(7)
    config = ladder.config(name, 32, 2)
    config.vocab_size = 300
    loaded = tiny(hf.AutoModelForCausalLM.from_config(config), make_loaded())
    requests = [*SHARED, *OTHER, *APART]
    for batch_tokens in (1, 200, 8_192):
        assert_same(score(loaded, requests, batch_tokens), plain(loaded, requests))
    assert Scorer(loaded).path == LADDER[name]


@pytest.mark.parametrize("name", list(HYBRIDS))
def test_hybrids_are_scored_as_plain_rows_and_say_why(make_loaded: Make, name: str) -> None:
    torch.manual_seed(7)
    loaded = tiny(hf.AutoModelForCausalLM.from_config(HYBRIDS[name]()), make_loaded())
    assert_same(score(loaded, [*SHARED, *APART], 8_192), plain(loaded, [*SHARED, *APART]))
    scorer = Scorer(loaded)
    assert scorer.path == "rows"
    assert "beginning" in scorer.reason


def test_contexts_that_are_cut_get_the_plain_numbers_and_leave_the_prefix_of_the_others(make_loaded: Make) -> None:
    for name in ("llama", "bloom", "gpt2"):
        loaded = make_loaded(name)
        short = [ScoreRequest(f"Question: hot Answer: cold Question: {asked[:9]}", OPTIONS) for asked in ASKED]
        scorer = Scorer(loaded)
        assert_same(scorer.score([*short, *LONG]), plain(loaded, [*short, *LONG]))
        if name != "bloom":  # without a limit of its own
            assert all(one.cut_tokens for one in scorer.score(LONG))
        assert_same(scorer.score(short), plain(loaded, short))


@pytest.mark.parametrize("name", ["llama", "bloom", "rwkv"])
def test_the_split_into_calls_changes_nothing_but_rounding(make_loaded: Make, name: str) -> None:
    loaded = make_loaded(name)
    requests = [*SHARED, *OTHER, *APART]
    whole, scorer = score(loaded, requests, 8_192), Scorer(loaded, 8_192)
    split = [one for start in range(0, len(requests), 3) for one in scorer.score(requests[start : start + 3])]
    assert_same(split, whole)


def test_two_cells_in_turn_get_the_numbers_of_each_alone(make_loaded: Make) -> None:
    loaded = make_loaded("llama")
    first, second, again = (Scorer(loaded, 8_192).score(cell) for cell in (SHARED, OTHER, SHARED))
    assert first == again
    assert_same(second, plain(loaded, OTHER))
    scorer = Scorer(loaded, 8_192)
    assert_same(scorer.score(SHARED) + scorer.score(OTHER) + scorer.score(SHARED), first + second + first)


@pytest.mark.parametrize("name", ["llama", "bloom", "gpt2", "opt"])
def test_half_precision_takes_the_way_of_full_precision(make_loaded: Make, name: str) -> None:
    full = make_loaded(name).model
    for dtype in (torch.bfloat16, torch.float16):
        assert forwards.way(copy.deepcopy(full).to(dtype)).path == forwards.way(full).path


@pytest.mark.parametrize("alibi", ["mpt", "falcon"])
def test_a_bias_by_distance_is_noticed_in_half_precision(alibi: str) -> None:
    torch.manual_seed(7)
    config = (
        hf.MptConfig(vocab_size=300, d_model=32, n_heads=4, n_layers=2, max_seq_len=256)
        if alibi == "mpt"
        else hf.FalconConfig(**SHAPE, alibi=True, multi_query=False, new_decoder_architecture=False)
    )
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    for dtype in (torch.float32, torch.bfloat16):
        found = forwards.way(copy.deepcopy(model).to(dtype))
        assert (found.path, found.reason.startswith("branches under a mask")) == ("cache", True)


def test_an_adapter_is_scored_with_its_own_prefix_and_the_base_with_its_own(make_loaded: Make, tmp_path: Path) -> None:
    base = make_loaded("llama", own=True)
    torch.manual_seed(1)
    made = get_peft_model(copy.deepcopy(base.model), LoraConfig(r=4, target_modules="all-linear"))
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    made.save_pretrained(str(tmp_path / "adapter"))
    before = score(base, SHARED, 8_192)
    tuned = with_adapter(base, tmp_path / "adapter")
    found = score(tuned, SHARED, 8_192)
    assert_same(found, plain(tuned, SHARED))
    assert max(abs(a - b) for one, other in zip(found, before, strict=True)
               for a, b in zip(one.logprobs, other.logprobs, strict=True)) > 0.1  # fmt: skip
    assert score(detach(tuned), SHARED, 8_192) == before


class Small(torch.nn.Module):
    """Token embeddings on a device whose memory holds only so many tokens."""

    def __init__(self, inner: torch.nn.Module, most: int) -> None:
        super().__init__()
        self.inner, self.most, self.largest = inner, most, 0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if ids.numel() > self.most:
            raise torch.cuda.OutOfMemoryError(f"{ids.numel()} tokens")
        self.largest = max(self.largest, ids.numel())
        return self.inner(ids)


@pytest.mark.parametrize("name", ["llama", "bloom", "rwkv"])
def test_where_memory_runs_out_batches_are_halved_and_the_numbers_stay(make_loaded: Make, name: str) -> None:
    loaded = make_loaded(name, own=True)
    expected = plain(loaded, SHARED)
    score(loaded, SHARED, 8_192)
    whole = max(len(loaded.tokenizer(one.context + one.options[1]).input_ids) for one in SHARED)
    small = Small(loaded.model.get_input_embeddings(), whole + 10)
    loaded.model.set_input_embeddings(small)
    assert_same(score(loaded, SHARED, 8_192), expected)
    assert 0 < small.largest <= whole + 10
    small.most = 3
    with pytest.raises(CellError, match="does not fit into memory"):
        score(loaded, OTHER, 8_192)
