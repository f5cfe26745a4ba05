"""Rows that share a batch, leave it and are followed by others get the tokens that each gets alone."""

from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import GenerationConfig

from app.models import prefix
from app.models.budget import Room
from app.models.decoding import Row, decode, decodes
from app.models.loading import LoadedModel, causal
from app.models.tokens import Tokens

Make = Callable[..., LoadedModel]

BEGINNING = tuple(range(20, 45))
LENGTHS = {60: 1, 70: 9, 80: 4, 90: 5, 99: 2}
ROWS = [BEGINNING + tuple(range(first, first + count)) for first, count in LENGTHS.items()]
NEW = 12
ROOM = Room(1000, 2000)


def ended(text: Sequence[int]) -> bool:
    """Ends rows after different numbers of tokens."""
    return text[-1] % 5 == 0


def alone(loaded: LoadedModel, row: Tokens) -> list[int]:
    """What transformers writes after one row, up to where it ends; no token is likeliest by rounding alone."""
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=NEW, pad_token_id=0, output_logits=True, return_dict_in_generate=True
    )
    model = causal(loaded)
    own, model.generation_config = model.generation_config, GenerationConfig()
    ids = torch.tensor([row])
    output = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    model.generation_config = own
    text = output.sequences[0, len(row) :].tolist()
    length = next((count for count in range(1, NEW) if ended(text[:count])), NEW)
    best = torch.cat(output.logits[:length]).topk(2).values
    assert (best[:, 0] - best[:, 1]).min() > 1e-4
    return text[:length]


def test_every_row_gets_the_tokens_that_it_gets_alone(make_loaded: Make, family: str) -> None:
    loaded = make_loaded(family)
    model = causal(loaded)
    assert decodes(model, prefixed=True) is decodes(model, prefixed=False) is (family != "rwkv")
    if family == "rwkv":
        return
    expected = [alone(loaded, row) for row in ROWS]
    before = prefix.compute(model, BEGINNING)
    # 1: row by row; 220: two rows at a time, one following the other; 2000: all at once.
    for columns in (1, 220, 2000):
        for start in (None, before):
            rows = [Row(row) for row in ROWS]
            decode(model, rows, NEW, ended, start, Room(1000, columns))
            assert [row.text for row in rows] == expected
            assert all(row.done for row in rows)


def test_rows_of_the_test_above_end_after_different_numbers_of_tokens(make_loaded: Make) -> None:
    assert len({len(alone(make_loaded(), row)) for row in ROWS}) > 2


def test_a_row_may_lack_more_columns_than_the_prefix_has_tokens(make_loaded: Make) -> None:
    loaded = make_loaded("mistral")
    long = BEGINNING[:3] + tuple(range(50, 90))
    short = (*BEGINNING[:3], 7)
    rows = [Row(long), Row(short)]
    decode(causal(loaded), rows, NEW, ended, prefix.compute(causal(loaded), BEGINNING[:3]), ROOM)
    assert [row.text for row in rows] == [alone(loaded, long), alone(loaded, short)]


def test_rows_begun_before_an_error_are_written_anew(make_loaded: Make) -> None:
    loaded = make_loaded()
    rows = [Row(row) for row in ROWS]

    def fails(text: Sequence[int]) -> bool:
        if sum(row.done for row in rows) == 2:
            raise MemoryError
        return ended(text)

    with pytest.raises(MemoryError):
        decode(causal(loaded), rows, NEW, fails, None, Room(1000, 220))
    kept = [row for row in rows if row.done]
    assert len(kept) == 2
    decode(causal(loaded), [row for row in rows if not row.done], NEW, ended, None, Room(60, 120))
    assert [row.text for row in rows] == [alone(loaded, row.tokens) for row in rows]
