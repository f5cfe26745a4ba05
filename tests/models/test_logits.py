"""No more logits at once than memory holds, whatever the head; and every head gives the model's own numbers."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
import torch
import transformers as hf
from torch import nn

from app.errors import CellError
from app.models import generation, logits
from app.models.loading import LoadedModel, ModelSource
from app.models.plain_scoring import plain
from app.models.scoring import OptionScores, Scorer, ScoreRequest

Make = Callable[..., LoadedModel]

VOCABULARY = 32_000
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "intermediate_size": 32, "max_position_embeddings": 256, "initializer_range": 0.2,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
ASKED = ("up", "is it true", "the capital of France is Paris, the answer is", "never before", "always after")
OPTIONS = tuple(f" {one} {other}" for one in ("yes", "no", "down", "Paris") for other in ("yes", "never", "Berlin"))
REQUESTS = [ScoreRequest(f"Question: {asked}\nAnswer:", OPTIONS) for asked in ASKED]


class Whole(hf.LlamaForCausalLM):
    """A soft cap without a head of a name: nothing tells which module makes the logits."""

    def forward(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        output = super().forward(*args, **kwargs)
        output.logits = torch.tanh(output.logits / 7)
        return output

    def get_output_embeddings(self) -> None:  # type: ignore[override]
        return None


def capped(name: str, like: LoadedModel) -> LoadedModel:
    torch.manual_seed(7)
    window = {"head_dim": 8, "sliding_window": 128, "final_logit_softcapping": 5.0}
    model: hf.PreTrainedModel = (
        hf.Gemma2ForCausalLM(hf.Gemma2Config(**SHAPE, **window))
        if name == "gathered"
        else Whole(hf.LlamaConfig(**SHAPE))
    )
    return LoadedModel(model.eval().requires_grad_(False), like.tokenizer, "cpu", ModelSource("checkpoint", "tiny"))


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(logits._AT_ONCE, "cpu", 64 * VOCABULARY)


@contextmanager
def rows_made(model: nn.Module) -> Generator[list[int]]:
    """Rows of logits of each forward."""
    rows: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda _, __, made: rows.append(made[..., 0].numel()))
    try:
        yield rows
    finally:
        hook.remove()


def assert_same(found: list[OptionScores], expected: list[OptionScores]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert one._replace(logprobs=()) == other._replace(logprobs=())


@pytest.mark.parametrize("head", ["gathered", "whole"])
@pytest.mark.parametrize("path", ["tree", "cache", "rows"])
def test_a_large_vocabulary_fills_no_memory_behind_a_head_that_is_not_plain(
    make_loaded: Make, head: str, path: str
) -> None:
    loaded = capped(head, make_loaded())
    scorer = Scorer(loaded, 1_024)
    assert (scorer.head, scorer.path) == (head, "tree")
    scorer.path = path  # type: ignore[assignment]  # the slower ways hold to it as well
    with rows_made(loaded.model) as rows:
        found = scorer.score(REQUESTS)
    assert_same(found, plain(loaded, REQUESTS))
    assert len(rows) > 1
    assert 0 < max(rows) <= logits.rows_at_once(loaded.model) == 64


@pytest.mark.parametrize("head", ["gathered", "whole"])
def test_prompts_are_read_without_logits_of_all_their_tokens(make_loaded: Make, head: str) -> None:
    loaded = capped(head, make_loaded())
    contexts = [request.context for request in REQUESTS]
    generation.path(loaded)
    with rows_made(loaded.model) as rows:
        found = generation.generate(loaded, contexts, 4, batch_tokens=1_024)
    assert max(rows) <= (len(contexts) if head == "gathered" else logits.rows_at_once(loaded.model))
    one_by_one = [generation.generate(loaded, [context], 4)[0] for context in contexts]
    assert found == one_by_one


@pytest.mark.parametrize("most", [3, 8])
def test_a_shared_beginning_that_does_not_fit_into_memory_is_told(make_loaded: Make, most: int) -> None:
    loaded = make_loaded("llama", own=True)
    contexts = [f"{ASKED[2]}: {asked}" for asked in ASKED]
    assert generation.path(loaded) == "batched with prefix"

    def full(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if given[0].numel() > most:
            raise torch.cuda.OutOfMemoryError(f"{given[0].numel()} tokens")

    loaded.model.get_input_embeddings().register_forward_pre_hook(full)
    with pytest.raises(CellError, match="does not fit into memory"):
        generation.generate(loaded, contexts, 4)
