"""Answer options on the decoder of a model whose encoder reads the context (T5, Flan-T5, BART).

The encoder runs once for each context. What the decoder sees of it, and the decoder's own start, are kept: the options
of the context go on from there. Where a model continues to other numbers, whole decoder rows see the encoded context.
"""

import weakref
from collections.abc import Sequence
from typing import Any, cast

import torch
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from app.errors import CellError
from app.models.branches import Found, Item, Spread, portions
from app.models.budget import Room
from app.models.logits import logits
from app.models.prefix import ROUNDING
from app.models.tokens import padded

_continuing: weakref.WeakKeyDictionary[PreTrainedModel, bool] = weakref.WeakKeyDictionary()


def through_decoder(model: PreTrainedModel, items: Sequence[Item], room: Room, *, kept: bool) -> Found:
    """Each context once through the encoder, then its options on the decoder.

    `kept`: they go on from the decoder's kept start, which `continues` must allow; else each is a whole decoder row.
    Raises CellError where the model states no token that its decoder begins with.
    """
    ids, mask = padded([item.context for item in items], "right", str(model.device))
    read = cast(Any, model.get_encoder())(input_ids=ids, attention_mask=mask)[0]
    start = _start(model)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache()) if kept else None
    parts: list[torch.Tensor] = []
    if cache is not None:
        given = _given(read, mask, torch.full((len(items), 1), start, device=mask.device), cache)
        parts += logits(model, given, torch.arange(len(items), device=mask.device))
    spread = Spread(items, () if kept else (start,))
    count = len(items) if kept else 0
    weights = [room.weight(len(branch.tokens), ids.shape[1]) for branch in spread.branches]
    for span in portions(weights, room.tokens):
        portion = spread.branches[span]
        rows = torch.tensor([branch.row for branch in portion], device=mask.device)
        texts, filled = padded([branch.tokens for branch in portion], "right", str(model.device))
        own = _chosen(cache, rows) if cache is not None else None
        parts += logits(model, _given(read[rows], mask[rows], texts, own), filled.flatten().nonzero()[:, 0])
        count = spread.note(portion, count)
    return Found(iter(parts), spread.rows())


def continues(model: PreTrainedModel) -> bool:
    """Whether options that go on from the kept start get the logits that each gets alone, tried on a few tokens.

    Kept for the life of the model.
    """
    if model not in _continuing:
        _continuing[model] = _continues(model)
    return _continuing[model]


def _given(
    read: torch.Tensor, mask: torch.Tensor, ids: torch.Tensor, cache: EncoderDecoderCache | None
) -> dict[str, object]:
    return {
        "encoder_outputs": (read,),
        "attention_mask": mask,
        "decoder_input_ids": ids,
        "past_key_values": cache,
        "use_cache": cache is not None,
    }


def _chosen(cache: EncoderDecoderCache, rows: torch.Tensor) -> EncoderDecoderCache:
    """A copy of some rows of a cache."""
    halves: list[DynamicCache] = []
    for half in (cache.self_attention_cache, cache.cross_attention_cache):
        copied = DynamicCache()
        for place, layer in enumerate(cast(list[DynamicLayer], half.layers)):
            copied.update(cast(torch.Tensor, layer.keys)[rows], cast(torch.Tensor, layer.values)[rows], place)
        halves.append(copied)
    return EncoderDecoderCache(*halves)


def _start(model: PreTrainedModel) -> int:
    start = model.config.decoder_start_token_id
    if not isinstance(start, int):
        raise CellError(f"{type(model).__name__} states no decoder_start_token_id: its decoder has no first token")
    return start


def _continues(model: PreTrainedModel) -> bool:
    items = [Item((5, 6, 7, 8, 9, 10), ((11, 12, 3, 4), (12, 9), (11, 12, 7))), Item((8, 12), ((9, 3, 5),))]
    try:
        with torch.inference_mode():
            found = through_decoder(model, items, Room(1024, 1024), kept=True)
            together = torch.cat([*found.parts]).float()
            for item, options in zip(items, found.rows, strict=True):
                for option, rows in zip(item.options, options, strict=True):
                    ids, labels = (torch.tensor([row], device=model.device) for row in (item.context, option))
                    whole = model(input_ids=ids, labels=labels, use_cache=False).logits[0].float()
                    gap = together[list(rows)] - whole
                    if not gap.square().mean().sqrt() <= ROUNDING[model.dtype] * whole.std():
                        return False
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return False  # another kind of cache, or none: each architecture fails in its own way
    return True
