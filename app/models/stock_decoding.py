"""Greedy decoding by transformers itself, for models that keep another state than keys and values of every token.

Without padding: rows of equal length side by side where that changes no numbers, else one row at a time. The
checkpoint's own generation settings are put aside for the while: a repetition penalty in them would make "greedy"
another thing for each model.
"""

import contextlib
import weakref
from collections.abc import Generator, Sequence
from typing import Any, cast

import torch
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from app.models.decoding import Ended, Row
from app.models.prefix import ROUNDING, moves
from app.models.tokens import FILL, Tokens

_pairing: weakref.WeakKeyDictionary[PreTrainedModel, bool] = weakref.WeakKeyDictionary()


class _Stop(StoppingCriteria):
    """Ends the rows whose newest token ends them."""

    def __init__(self, ended: Ended, width: int) -> None:
        self._ended, self._width = ended, width

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """One flag for each row of `input_ids`, shape (rows, width + new tokens)."""
        texts = cast(list[list[int]], input_ids[:, self._width :].tolist())
        return torch.tensor([self._ended(text) for text in texts], device=input_ids.device)


def decode(model: PreTrainedModel, rows: Sequence[Row], new: int, ended: Ended, batch_tokens: int) -> None:
    """Write the greedy continuation of each row, up to the token that `ended` tells or to `new` tokens."""
    settings = GenerationConfig(do_sample=False, max_new_tokens=new, pad_token_id=FILL)
    for batch in _batches(model, [row for row in rows if not row.done], new, batch_tokens):
        width = len(batch[0].tokens)
        criteria = StoppingCriteriaList([_Stop(ended, width)])
        output = _generate(model, [row.tokens for row in batch], settings, criteria)
        for row, text in zip(batch, output[:, width:].tolist(), strict=True):
            # After its end a row is filled up until all rows of its batch have ended.
            length = next((count for count in range(1, len(text)) if ended(text[:count])), len(text))
            row.text, row.done = text[:length], True


def pairs(model: PreTrainedModel) -> bool:
    """Whether two rows of equal length side by side get the logits that each gets alone, tried on two new tokens.

    A model that mixes its rows (transformers' RWKV does) generates row by row.
    """
    if model not in _pairing:
        _pairing[model] = not moves(model) and _same(model)
    return _pairing[model]


def _batches(model: PreTrainedModel, rows: Sequence[Row], new: int, batch_tokens: int) -> list[list[Row]]:
    result: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (-len(row.tokens), row.tokens)):
        width = len(row.tokens)
        room = batch_tokens // (width + new) if pairs(model) else 1
        if result and len(result[-1][0].tokens) == width and len(result[-1]) < room:
            result[-1].append(row)
        else:
            result.append([row])
    return result


def _same(model: PreTrainedModel) -> bool:
    rows: list[Tokens] = [tuple(range(1, 7)), tuple(range(6, 12))]
    together = _first_logits(model, rows)
    alone = torch.cat([_first_logits(model, [row]) for row in rows], dim=1)
    # A tie that rounding breaks otherwise gives another first token, and other second logits for good reason.
    same = together[0].argmax(-1) == alone[0].argmax(-1)
    gaps = torch.cat([(together - alone)[0], (together - alone)[1][same]])
    return bool(gaps.square().mean().sqrt() <= ROUNDING[model.dtype] * alone.std())


def _first_logits(model: PreTrainedModel, rows: Sequence[Tokens]) -> torch.Tensor:
    """Logits of the first two new tokens, shape (2, rows, vocabulary)."""
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=2, pad_token_id=FILL, output_logits=True, return_dict_in_generate=True
    )
    output = _generate(model, rows, settings, StoppingCriteriaList())
    return torch.stack([logits.float() for logits in output.logits])


def _generate(
    model: PreTrainedModel, rows: Sequence[Tokens], settings: GenerationConfig, criteria: StoppingCriteriaList
) -> Any:
    ids = torch.tensor(rows, device=model.device)
    with torch.inference_mode(), _plain_settings(model):
        return cast(Any, model).generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, stopping_criteria=criteria
        )


@contextlib.contextmanager
def _plain_settings(model: PreTrainedModel) -> Generator[None]:
    """transformers fills every setting that a call leaves open from `model.generation_config`."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
