"""Batched generation equals one-by-one generation without padding."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import transformers as hf
from transformers import GenerationConfig

from app.errors import CellError
from app.models import stock_decoding
from app.models.decoding import Row
from app.models.generation import generate, path
from app.models.loading import LoadedModel, causal, context_length
from app.models.stopping import Ending

Make = Callable[..., LoadedModel]

CONTEXTS = [
    "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\nQuestion: up\nAnswer:",
    "Question: up\nAnswer:",
    "Is it true?",
    "",
    "The capital of France is",
    "Question: up\nAnswer:",
]


SHOTS = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\nQuestion: "
ALIKE = [SHOTS + rest + "\nAnswer:" for rest in ("up", "never before", "the capital of Germany", "yes", "up")]


def one_by_one(loaded: LoadedModel, context: str, new: int) -> str:
    """Greedy text from transformers, alone and without padding; no token is likeliest by less than rounding makes."""
    ids = torch.tensor([loaded.tokenizer(context).input_ids or [1]])
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=new, eos_token_id=2, pad_token_id=0, output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    output = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    best = torch.cat(output.logits).topk(2).values
    assert (best[:, 0] - best[:, 1]).min() > 1e-4
    return loaded.tokenizer.decode(output.sequences[0, ids.shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("bos", [True, False])
def test_batched_text_equals_one_by_one_text_in_every_family(make_loaded: Make, family: str, bos: bool) -> None:
    loaded = make_loaded(family, bos=bos)
    for contexts in (CONTEXTS, ALIKE):
        expected = [one_by_one(loaded, context, 10) for context in contexts]
        for batch_tokens in (1, 1000):
            found = generate(loaded, contexts, 10, stop="", batch_tokens=batch_tokens)
            assert [generation.text for generation in found] == expected


def test_another_loop_is_given_each_context_once_and_read_alike(make_loaded: Make) -> None:
    loaded = make_loaded()
    asked: list[Row] = []

    def stock(rows: Sequence[Row], new: int, ending: Ending) -> None:
        asked.extend(rows)
        stock_decoding.decode(causal(loaded), rows, new, ending, 1000)

    ours = generate(loaded, CONTEXTS, 12, "e")
    assert generate(loaded, CONTEXTS, 12, "e", decode=stock) == ours
    assert len(asked) == len(set(CONTEXTS))


def test_a_stop_string_ends_its_own_row_only_and_is_left_out(make_loaded: Make) -> None:
    loaded = make_loaded("gpt2")
    whole = generate(loaded, CONTEXTS, 12, stop="", batch_tokens=1000)
    stop = whole[1].text[4]
    stopped = generate(loaded, CONTEXTS, 12, stop=stop, batch_tokens=1000)
    assert [generation.text for generation in stopped] == [generation.text.split(stop)[0] for generation in whole]
    assert stopped[1].finished
    assert all(now.finished == (stop in before.text) for now, before in zip(stopped, whole, strict=True))


def test_eos_ends_a_row_and_leaves_no_trace_in_its_text(make_loaded: Make) -> None:
    loaded = make_loaded("llama")
    loaded = replace(loaded, model=copy.deepcopy(loaded.model))
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


def test_contexts_that_were_cut_stand_beside_others_that_share_a_beginning(make_loaded: Make) -> None:
    loaded = make_loaded()
    contexts = [*ALIKE, "Is it true? yes no " * 40 + "Answer:"]
    together = generate(loaded, contexts, 8, stop="")
    assert together == [generate(loaded, [context], 8, stop="")[0] for context in contexts]
    assert [generation.cut_tokens > 0 for generation in together] == [False] * len(ALIKE) + [True]


def test_the_path_tells_how_the_contexts_of_a_model_are_continued(make_loaded: Make, family: str) -> None:
    assert path(make_loaded(family)) == ("one by one" if family == "rwkv" else "batched with prefix")


def test_a_recurrent_model_continues_contexts_of_equal_length_together(make_loaded: Make) -> None:
    torch.manual_seed(7)
    config = hf.MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, initializer_range=0.5)
    loaded = replace(make_loaded(), model=hf.MambaForCausalLM(config).eval().requires_grad_(False))
    assert path(loaded) == "equal lengths"
    found = generate(loaded, CONTEXTS + ALIKE, 6, stop="", batch_tokens=1000)
    assert [generation.text for generation in found] == [one_by_one(loaded, c, 6) for c in CONTEXTS + ALIKE]


def test_an_encoder_decoder_model_is_refused(make_loaded: Make) -> None:
    config = hf.T5Config(vocab_size=300, d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8)
    loaded = replace(make_loaded(), model=hf.T5ForConditionalGeneration(config).eval())
    with pytest.raises(CellError, match="encoder-decoder"):
        generate(loaded, ["Answer:"], 4)


def test_a_row_that_fits_into_no_memory_is_refused(make_loaded: Make) -> None:
    loaded = make_loaded()
    loaded = replace(loaded, model=copy.deepcopy(loaded.model))
    loaded.model.config.max_position_embeddings = 2**42
    with pytest.raises(CellError, match="does not fit into memory"):
        generate(loaded, ALIKE, 2**40, stop="", batch_tokens=2**44)


def test_nothing_to_continue_gives_nothing(make_loaded: Make) -> None:
    assert generate(make_loaded(), [], 4) == []
