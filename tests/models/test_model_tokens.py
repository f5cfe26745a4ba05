"""Special tokens stand once, cuts spare the beginning, batches keep to their budget."""

from collections.abc import Callable

import pytest
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel

from app.errors import CellError
from app.models.loading import LoadedModel
from app.models.tokens import batches, cut, encode, leading, padded, start_token

Make = Callable[..., LoadedModel]


@given(st.lists(st.integers(1, 300)), st.integers(1, 500))
def test_batches_hold_every_place_once_and_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    found = batches(lengths, budget)
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= budget


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_cut_keeps_the_first_special_token_and_the_end(length: int, room: int) -> None:
    context = (1, *range(10, 9 + length))
    kept, dropped = cut(context, room, (1,))
    assert len(kept) == min(length, room) == length - dropped
    assert kept[-1] == context[-1]
    assert kept[0] == 1 or room == 1


@pytest.mark.parametrize("bos", [True, False])
def test_plain_text_is_encoded_as_the_tokenizer_does_it(make_loaded: Make, bos: bool) -> None:
    tokenizer = make_loaded(bos=bos).tokenizer
    texts = ["Is it true?", "yes", ""]
    assert encode(tokenizer, texts) == [tuple(tokenizer(text).input_ids) for text in texts]
    assert leading(tokenizer) == ((1,) if bos else ())


def test_an_end_of_text_that_the_tokenizer_appends_is_left_out() -> None:
    backend = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "yes": 4}, unk_token="<unk>"))  # noqa: S106
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")  # noqa: S106
    assert encode(tokenizer, ["yes a"]) == [(1, 4, 3)]


def test_padding_is_told_by_the_mask_alone() -> None:
    left, right = (padded([(5, 0, 6), (7,)], side, "cpu") for side in ("left", "right"))
    assert left.ids.tolist() == [[5, 0, 6], [0, 0, 7]]
    assert left.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert right.ids.tolist() == [[5, 0, 6], [7, 0, 0]]
    assert right.mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_an_empty_context_needs_a_first_token(make_loaded: Make) -> None:
    assert start_token(make_loaded().tokenizer) == 1
    bare = hf.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0})))
    with pytest.raises(CellError, match="neither BOS nor EOS"):
        start_token(bare)
