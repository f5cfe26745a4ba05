"""Batched generation equals one-by-one generation without padding."""

from collections.abc import Callable

import pytest
import torch
from transformers import GenerationConfig

from app.errors import CellError
from app.models.generation import generate
from app.models.loading import LoadedModel, context_length

Make = Callable[..., LoadedModel]

CONTEXTS = [
    "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\nQuestion: up\nAnswer:",
    "Question: up\nAnswer:",
    "Is it true?",
    "",
    "The capital of France is",
    "Question: up\nAnswer:",
]


def one_by_one(loaded: LoadedModel, context: str, new: int) -> list[int]:
    """Greedy tokens from full forwards without cache, padding or mask, up to EOS."""
    ids = loaded.tokenizer(context).input_ids or [1]
    start = len(ids)
    for _ in range(new):
        with torch.no_grad():
            ids = [*ids, int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())]
        if ids[-1] == 2:
            break
    return ids[start:]


@pytest.mark.parametrize("bos", [True, False])
def test_batched_text_equals_one_by_one_text_in_every_family(make_loaded: Make, family: str, bos: bool) -> None:
    loaded = make_loaded(family, bos=bos)
    expected = [loaded.tokenizer.decode(one_by_one(loaded, c, 10), skip_special_tokens=True) for c in CONTEXTS]
    for batch_tokens in (1, 1000):
        found = generate(loaded, CONTEXTS, 10, stop="", batch_tokens=batch_tokens)
        assert [generation.text for generation in found] == expected


def test_a_stop_string_ends_its_own_row_only_and_is_left_out(make_loaded: Make) -> None:
    loaded = make_loaded("gpt2")
    whole = generate(loaded, CONTEXTS, 12, stop="", batch_tokens=1000)
    stop = whole[1].text[4]
    stopped = generate(loaded, CONTEXTS, 12, stop=stop, batch_tokens=1000)
    assert [generation.text for generation in stopped] == [generation.text.split(stop)[0] for generation in whole]
    assert stopped[1].finished
    assert all(now.finished == (stop in before.text) for now, before in zip(stopped, whole, strict=True))


def test_eos_ends_a_row_and_leaves_no_trace_in_its_text(make_loaded: Make) -> None:
    loaded = make_loaded("llama", own=True)
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.zero_()
        loaded.model.get_output_embeddings().weight[2] = 0.0  # every logit is 0: the first token, padding, is likeliest
    loaded.model.generation_config.eos_token_id = [2, 0]
    found = generate(loaded, CONTEXTS, 5)
    assert [(generation.text, generation.finished) for generation in found] == [("", True)] * len(CONTEXTS)


def test_generation_settings_of_the_checkpoint_do_not_bend_greedy_decoding(make_loaded: Make) -> None:
    loaded = make_loaded("gpt2")
    before = generate(loaded, CONTEXTS, 12, stop="")
    own = loaded.model.generation_config
    loaded.model.generation_config = GenerationConfig(
        eos_token_id=2, repetition_penalty=9.0, do_sample=True, temperature=5.0, no_repeat_ngram_size=1
    )
    try:
        assert generate(loaded, CONTEXTS, 12, stop="") == before
        assert loaded.model.generation_config.repetition_penalty == 9.0
    finally:
        loaded.model.generation_config = own


def test_a_context_too_long_is_cut_on_its_left_and_counted(make_loaded: Make) -> None:
    loaded = make_loaded()
    context = "Is it true? yes no " * 40 + "Answer:"
    (found,) = generate(loaded, [context], 8, stop="")
    ids = loaded.tokenizer(context).input_ids
    assert found.prompt_tokens == len(ids)
    assert found.cut_tokens == len(ids) + 8 - context_length(loaded)
    kept = loaded.tokenizer.decode(ids[1 + found.cut_tokens :])
    assert found.text == generate(loaded, [kept], 8, stop="")[0].text


def test_new_tokens_that_fill_the_context_are_refused(make_loaded: Make) -> None:
    loaded = make_loaded()
    with pytest.raises(CellError, match="no room"):
        generate(loaded, ["Answer:"], context_length(loaded))


def test_nothing_to_continue_gives_nothing(make_loaded: Make) -> None:
    assert generate(make_loaded(), [], 4) == []
