"""An encoder-decoder model is scored on its decoder: each context once through the encoder, plain numbers."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from tokenizers import processors

from app.errors import CellError
from app.models import encoder_decoder, forwards
from app.models.branches import Item
from app.models.budget import Room
from app.models.generation import generate
from app.models.loading import LoadedModel, ModelSource, load, save_checkpoint
from app.models.plain_scoring import plain
from app.models.queries import encode_requests, trailing
from app.models.scoring import OptionScores, Scorer, ScoreRequest, score

Make = Callable[..., LoadedModel]

ENDS = {"eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1}
SHAPE = {"vocab_size": 300, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "n_positions": 64}
CONFIGS: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    "t5": lambda: hf.T5Config(**SHAPE, **ENDS, decoder_start_token_id=0),
    "flan-t5": lambda: hf.T5Config(
        **SHAPE, **ENDS, decoder_start_token_id=0, feed_forward_proj="gated-gelu", tie_word_embeddings=False
    ),
    "mt5": lambda: hf.MT5Config(**SHAPE, **ENDS, decoder_start_token_id=0),
    "bart": lambda: hf.BartConfig(
        vocab_size=300, d_model=32, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=64, decoder_ffn_dim=64,
        encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=64, init_std=0.2,
        decoder_start_token_id=2, **ENDS,
    ),
}  # fmt: skip
OPTIONS = (" down", " yes, yes and never", " yes, yes", " no", " yes")
REQUESTS = [
    *(
        ScoreRequest(f"Question: {asked}\nAnswer:", OPTIONS)
        for asked in ("up", "is it true", "the capital of France is Paris, and that of Germany is", "up")
    ),
    ScoreRequest("Is it true? ", ("yes", "no", "maybe: the answer is yes")),
    ScoreRequest("Is it true?", (" yes",)),
    ScoreRequest("", (" yes", "no")),
    ScoreRequest("neve", ("r", "r before")),
]


@pytest.fixture(params=list(CONFIGS))
def loaded(request: pytest.FixtureRequest, make_loaded: Make) -> LoadedModel:
    return build(request.param, make_loaded)


def build(name: str, make_loaded: Make) -> LoadedModel:
    """A model that puts </s> behind its text, as T5 does."""
    torch.manual_seed(7)
    model = hf.AutoModelForSeq2SeqLM.from_config(CONFIGS[name]()).eval().requires_grad_(False)
    backend = copy.deepcopy(make_loaded(bos=False).tokenizer.backend_tokenizer)
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    names = {"eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_object=backend, **names)
    return LoadedModel(model, tokenizer, "cpu", ModelSource("checkpoint", f"tiny-{name}"))


def assert_same(found: list[OptionScores], expected: list[OptionScores]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert one._replace(logprobs=()) == other._replace(logprobs=())
        assert one.logprobs.index(max(one.logprobs)) == other.logprobs.index(max(other.logprobs))


def test_scores_are_those_of_the_model_itself_one_option_at_a_time(loaded: LoadedModel) -> None:
    expected = plain(loaded, REQUESTS)
    for batch_tokens in (1, 60, 8_192):
        assert_same(score(loaded, REQUESTS, batch_tokens), expected)
    scorer = Scorer(loaded)
    assert (scorer.path, scorer.reason) == ("cache", "an encoder reads the context")


def test_whole_decoder_rows_give_the_same_logits(loaded: LoadedModel) -> None:
    items = [Item((5, 6, 7, 2), ((8, 9, 10), (8, 9), (8, 11, 3), (12,))), Item((11, 12, 2), ((8, 9), (4,)))]
    with torch.inference_mode():
        kept, whole = (
            encoder_decoder.through_decoder(loaded.model, items, Room(512, 512), kept=kept) for kept in (True, False)
        )
        one, other = torch.cat([*kept.parts]), torch.cat([*whole.parts])
    for item in range(len(items)):
        for left, right in zip(kept.rows[item], whole.rows[item], strict=True):
            torch.testing.assert_close(one[list(left)], other[list(right)], atol=1e-4, rtol=1e-5)


def test_the_context_carries_its_end_and_the_option_stands_alone(make_loaded: Make) -> None:
    loaded = build("t5", make_loaded)
    assert trailing(loaded.tokenizer) == (2,)
    (encoded, empty) = encode_requests(loaded, [ScoreRequest("neve ", ("r",)), ScoreRequest("", ("r",))])
    assert encoded.context == (*loaded.tokenizer("neve", add_special_tokens=False).input_ids, 2)
    assert encoded.options[0] == tuple(loaded.tokenizer(" r", add_special_tokens=False).input_ids)
    assert empty.context[-1] == 2


def test_a_context_too_long_loses_its_beginning_and_keeps_its_end(make_loaded: Make) -> None:
    loaded = build("t5", make_loaded)
    request = ScoreRequest("Is it true? yes no " * 40 + "Answer:", OPTIONS)
    (encoded,) = encode_requests(loaded, [request])
    whole = loaded.tokenizer(request.context).input_ids
    assert encoded.context == tuple(whole[-64:])
    assert (encoded.prompt_tokens, encoded.cut_tokens) == (len(whole), len(whole) - 64)
    assert_same(score(loaded, [request]), plain(loaded, [request]))


def test_the_encoder_reads_each_distinct_context_once(loaded: LoadedModel) -> None:
    score(loaded, REQUESTS, 8_192)  # what is tried once for a model
    rows: list[int] = []
    encoder = loaded.model.get_encoder()
    hook = encoder.register_forward_hook(lambda _, __, found: rows.append(len(found[0])))
    try:
        score(loaded, REQUESTS, 8_192)
    finally:
        hook.remove()
    assert sum(rows) == len({request.context.rstrip() for request in REQUESTS})


def test_logits_are_made_where_they_are_asked_for(loaded: LoadedModel) -> None:
    score(loaded, REQUESTS, 8_192)
    made: list[int] = []
    head = loaded.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, given, __: made.append(given[0][..., 0].numel()))
    try:
        found = score(loaded, REQUESTS, 8_192)
    finally:
        hook.remove()
    assert 0 < sum(made) <= sum(sum(one.tokens) for one in found)


def test_options_that_do_not_see_their_own_context_get_other_numbers(make_loaded: Make) -> None:
    loaded = build("t5", make_loaded)
    apart = [Item((5, 6, 7, 2), ((8, 9, 10),)), Item((11, 12, 2), ((8, 9, 10),))]
    with torch.inference_mode():
        found = encoder_decoder.through_decoder(loaded.model, apart, Room(512, 512), kept=True)
        logits = torch.cat([*found.parts])
    first, second = (logits[list(options[0])] for options in found.rows)
    assert (first - second).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["t5", "flan-t5"])
def test_a_checkpoint_is_written_and_read_again(make_loaded: Make, tmp_path: Path, name: str) -> None:
    made = build(name, make_loaded)
    save_checkpoint(made, tmp_path / "tiny")
    read = load(ModelSource("checkpoint", str(tmp_path / "tiny")))
    assert type(read.model) is type(made.model)
    assert score(read, REQUESTS, 512) == score(made, REQUESTS, 512)


def test_half_precision_takes_the_same_way(loaded: LoadedModel) -> None:
    half = copy.deepcopy(loaded.model).to(torch.bfloat16)
    assert forwards.way(half).path == "cache"


def test_what_is_not_known_yet_is_refused_in_a_sentence(make_loaded: Make) -> None:
    loaded = build("t5", make_loaded)
    with pytest.raises(CellError, match="encoder-decoder model"):
        generate(loaded, ["Is it true?"], 4)
