"""Greedy continuations of many contexts at once, each ended by EOS, by a stop string or by a length.

Contexts of similar length share a batch, padded on the left, with a key-value cache. The checkpoint's own generation
settings are put aside for the while: a repetition penalty in them would make "greedy" another thing for each model.
"""

import contextlib
import weakref
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, cast

import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from app.errors import CellError
from app.models.adapters import check_named
from app.models.loading import LoadedModel, causal, context_length
from app.models.tokens import FILL, Tokens, batches, cut, encode, leading, padded, start_token

_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
"""Root mean square difference, in standard deviations of the logits, that padding may make by rounding alone."""

_batching: weakref.WeakKeyDictionary[PreTrainedModel, bool] = weakref.WeakKeyDictionary()


class Generation(NamedTuple):
    """One continuation."""

    text: str
    """Without the stop string, without special tokens."""
    prompt_tokens: int
    """Tokens of the context before any cut, BOS included."""
    cut_tokens: int
    """Tokens dropped from the left of the context."""
    finished: bool
    """Whether EOS or the stop string ended it; False: the length did."""


class _Continuation(NamedTuple):
    text: str
    finished: bool


class _StopText(StoppingCriteria):
    """Ends the rows whose continuation holds the stop string."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: str, width: int) -> None:
        self._tokenizer, self._stop, self._width = tokenizer, stop, width

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """One flag for each row of `input_ids`, shape (rows, width + new tokens)."""
        texts = [_decode(self._tokenizer, row) for row in input_ids[:, self._width :].tolist()]
        return torch.tensor([self._stop in text for text in texts], device=input_ids.device)


def generate(
    loaded: LoadedModel,
    contexts: Sequence[str],
    max_new_tokens: int,
    stop: str = "\n",
    batch_tokens: int = 4096,
) -> list[Generation]:
    """The greedy continuation of every context, in the order of `contexts`; equal contexts are generated once.

    `batch_tokens` bounds rows times (width + max_new_tokens) of a batch; an empty `stop` stops at EOS alone. A context
    that leaves no room for `max_new_tokens` is cut on its left. Raises CellError where `max_new_tokens` fills the
    model's whole context, and for an adapter in the model's layers that `loaded` does not name.
    """
    check_named(loaded)
    room = context_length(loaded) - max_new_tokens
    if room < 1:
        raise CellError(
            f"{max_new_tokens} new tokens leave no room for a prompt in a context of {context_length(loaded)}: "
            f"lower max_new_tokens"
        )
    prefix = leading(loaded.tokenizer)
    encoded = [ids or (start_token(loaded.tokenizer),) for ids in encode(loaded.tokenizer, contexts)]
    shortened = [cut(ids, room, prefix) for ids in encoded]
    rows = sorted({ids for ids, _ in shortened})
    texts: dict[Tokens, _Continuation] = {}
    budget = batch_tokens if len(rows) < 2 or _batches_well(causal(loaded)) else 1
    for batch in batches([len(row) + max_new_tokens for row in rows], budget):
        members = [rows[place] for place in batch]
        texts.update(zip(members, _generate_batch(loaded, members, max_new_tokens, stop), strict=True))
    return [
        Generation(texts[ids].text, len(full), dropped, texts[ids].finished)
        for full, (ids, dropped) in zip(encoded, shortened, strict=True)
    ]


def _batches_well(model: PreTrainedModel) -> bool:
    """Whether a short row beside a long one gives the logits that each gives alone, tried on two tokens.

    A model that reads padding as text or mixes its rows (transformers' RWKV does both) generates row by row.
    """
    if model not in _batching:
        rows = [tuple(range(1, 5)), tuple(range(5, 12))]
        together = _first_logits(model, rows)
        alone = torch.cat([_first_logits(model, [row]) for row in rows], dim=1)
        # A tie that rounding breaks otherwise gives another first token, and other second logits for good reason.
        same = together[0].argmax(-1) == alone[0].argmax(-1)
        gaps = torch.cat([(together - alone)[0], (together - alone)[1][same]])
        _batching[model] = bool(gaps.square().mean().sqrt() <= _ROUNDING[model.dtype] * alone.std())
    return _batching[model]


def _first_logits(model: PreTrainedModel, rows: Sequence[Tokens]) -> torch.Tensor:
    """Logits of the first two new tokens, shape (2, rows, vocabulary)."""
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=2, pad_token_id=FILL, output_logits=True, return_dict_in_generate=True
    )
    batch = padded(rows, "left", str(model.device))
    with torch.inference_mode(), _plain_settings(model):
        output = cast(Any, model).generate(input_ids=batch.ids, attention_mask=batch.mask, generation_config=settings)
    return torch.stack([logits.float() for logits in output.logits])


def _generate_batch(loaded: LoadedModel, rows: Sequence[Tokens], new: int, stop: str) -> list[_Continuation]:
    model, tokenizer = causal(loaded), loaded.tokenizer
    ends = _end_tokens(model, tokenizer)
    batch = padded(rows, "left", loaded.device)
    width = batch.ids.shape[1]
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=new,
        eos_token_id=sorted(ends) or None,
        pad_token_id=FILL,
        use_cache=True,
    )
    criteria = StoppingCriteriaList([_StopText(tokenizer, stop, width)] if stop else [])
    with torch.inference_mode(), _plain_settings(model):
        output = cast(Any, model).generate(
            input_ids=batch.ids, attention_mask=batch.mask, generation_config=settings, stopping_criteria=criteria
        )
    return [_continuation(tokenizer, row, ends, stop) for row in output[:, width:].tolist()]


def _continuation(tokenizer: PreTrainedTokenizerBase, ids: list[int], ends: set[int], stop: str) -> _Continuation:
    length = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    text = _decode(tokenizer, ids[:length])
    head, found, _ = text.partition(stop) if stop else (text, "", "")
    return _Continuation(head, bool(found) or length < len(ids))


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokenizer's EOS and those that the checkpoint adds to it, such as the end of a chat turn."""
    stated = getattr(model.generation_config, "eos_token_id", None)
    extra = stated if isinstance(stated, list) else [stated]
    return {token for token in [tokenizer.eos_token_id, *extra] if isinstance(token, int)}


@contextlib.contextmanager
def _plain_settings(model: PreTrainedModel) -> Generator[None]:
    """transformers fills every setting that a call leaves open from `model.generation_config`."""
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
