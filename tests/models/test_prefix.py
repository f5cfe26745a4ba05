"""Rows that continue a shared prefix get the numbers that each gets alone."""

from collections.abc import Callable

import pytest
import torch
import transformers as hf

from app.errors import CellError
from app.models import prefix
from app.models.loading import LoadedModel, causal
from app.models.tokens import padded

Make = Callable[..., LoadedModel]
BEGINNING = tuple(range(20, 50))
RESTS = [(3, 4, 5, 6, 7, 8, 9, 10, 11), (30, 31), (99,)]


def test_the_shared_prefix_leaves_every_row_a_token() -> None:
    assert prefix.shared([(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3)]) == (1, 2)
    assert prefix.shared([(1, 2, 3), (1, 2, 3)]) == (1, 2)
    assert prefix.shared([(1, 2, 3)]) == (1, 2)
    assert prefix.shared([(1, 2), (2, 2)]) == ()
    assert prefix.shared([(1,), (1, 2, 3)]) == ()
    assert prefix.shared([]) == ()


def test_rows_that_continue_a_prefix_have_the_logits_of_one_whole_forward(make_loaded: Make, family: str) -> None:
    model = causal(make_loaded(family))
    assert prefix.holds(model) is (family != "rwkv")
    if not prefix.holds(model):
        return
    before = prefix.compute(model, BEGINNING)
    kept = [(keys.clone(), values.clone()) for keys, values in before.layers]
    batch = padded(RESTS, "right", "cpu")
    mask = torch.cat([torch.ones(len(RESTS), len(BEGINNING), dtype=torch.long), batch.mask], dim=1)
    with torch.inference_mode():
        cache = prefix.cache(before, len(RESTS))
        logits = model(input_ids=batch.ids, attention_mask=mask, past_key_values=cache).logits
        for row, rest in enumerate(RESTS):
            alone = model(input_ids=torch.tensor([BEGINNING + rest]), use_cache=False).logits[0, len(BEGINNING) :]
            torch.testing.assert_close(logits[row, : len(rest)], alone, rtol=0, atol=1e-4)
    for (keys, values), (old_keys, old_values) in zip(before.layers, kept, strict=True):
        assert torch.equal(keys, old_keys)
        assert torch.equal(values, old_values)


def test_a_cache_without_a_prefix_is_empty() -> None:
    assert prefix.cache(None, 3).get_seq_length() == 0


def test_a_model_without_keys_and_values_is_refused(make_loaded: Make) -> None:
    with pytest.raises((CellError, TypeError)):
        prefix.compute(causal(make_loaded("rwkv")), (1, 2, 3))


def test_rotations_that_depend_on_the_length_of_a_row_share_no_prefix() -> None:
    settings = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "original_max_position_embeddings": 32,
        "long_factor": [2.0] * 4,
        "short_factor": [1.0] * 4,
    }
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
    config = hf.LlamaConfig(vocab_size=300, max_position_embeddings=96, rope_parameters=settings, **shape)
    assert not prefix.holds(hf.LlamaForCausalLM(config).eval())
