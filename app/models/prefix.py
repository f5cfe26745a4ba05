"""Keys and values of a token prefix that many rows begin with, computed once and continued by every row.

The cache holds every column, also those behind a sliding window: the masks of transformers then see the same columns
as in one whole forward. Models that keep another state than keys and values (recurrent and hybrid ones), and those
whose rotation of a token depends on how long its row becomes, have no such prefix.
"""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from app.errors import CellError
from app.models.tokens import Tokens, padded

ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
"""Root mean square difference, in standard deviations of the logits, that another batch may make by rounding alone."""

_holding: weakref.WeakKeyDictionary[PreTrainedModel, bool] = weakref.WeakKeyDictionary()
_MOVING = "longrope"
"""The rotary embedding that turns all tokens of a row anew once it grows past a length within the context."""


class Prefix(NamedTuple):
    """What a model keeps of a few tokens."""

    tokens: Tokens
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """Keys and values of each layer, both of shape (1, heads, tokens, width of a head)."""


def shared(rows: Sequence[Tokens]) -> Tokens:
    """The longest beginning that all `rows` have in common and that leaves each at least one token."""
    if not rows:
        return ()
    # Whatever the first and the last in sorted order share, all between them share.
    first, last = min(rows), max(rows)
    most = max(min(len(row) for row in rows) - 1, 0)
    same = next((place for place in range(most) if first[place] != last[place]), most)
    return first[:same]


def compute(model: PreTrainedModel, tokens: Tokens) -> Prefix:
    """One forward of `tokens`, of which there is at least one, without the output head.

    Raises CellError where the model keeps something else than keys and values of every token: ask `holds` first.
    """
    ids = torch.tensor([tokens], device=model.device)
    filled = DynamicCache()
    with torch.inference_mode():
        cast(Any, model.base_model)(
            input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=filled, use_cache=True
        )
    layers = [(layer.keys, layer.values) for layer in filled.layers if type(layer) is DynamicLayer]
    whole = [pair for pair in layers if all(part is not None and part.shape[-2] == len(tokens) for part in pair)]
    if not filled.layers or len(whole) < len(filled.layers):
        raise CellError(f"{type(model).__name__} keeps no keys and values of every token: it cannot share a prefix")
    return Prefix(tokens, cast(tuple[tuple[torch.Tensor, torch.Tensor], ...], tuple(whole)))


def cache(prefix: Prefix | None, rows: int) -> DynamicCache:
    """A fresh cache whose first columns are `prefix` for each of `rows` rows; without a prefix it is empty.

    The rows are views of the prefix until a forward appends to them, which copies; `prefix` is never written to.
    """
    fresh = DynamicCache()
    for keys, values in prefix.layers if prefix else ():
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)
        fresh.layers.append(layer)
    return fresh


def holds(model: PreTrainedModel) -> bool:
    """Whether rows that continue a shared prefix get the logits that each gets alone, tried on a few tokens.

    Kept for the life of the model; logits may differ by `ROUNDING` of the model's dtype.
    """
    if model not in _holding:
        _holding[model] = not moves(model) and _continues(model)
    return _holding[model]


def moves(model: PreTrainedModel) -> bool:
    """Whether the rotation of a token depends on the length that its row has reached."""
    return _names_moving(getattr(model.config.get_text_config(), "rope_parameters", None))


def _names_moving(parameters: object) -> bool:
    """Rotary settings are one mapping, or a mapping of them for each kind of layer."""
    if not isinstance(parameters, Mapping):
        return False
    settings = cast(Mapping[str, object], parameters)
    return settings.get("rope_type") == _MOVING or any(_names_moving(value) for value in settings.values())


def _continues(model: PreTrainedModel) -> bool:
    beginning = tuple(range(1, 8))
    rests = [(8, 9, 10, 11, 12), (12, 3, 9)]
    try:
        batch = padded(rests, "right", str(model.device))
        mask = torch.cat([batch.mask.new_ones(len(rests), len(beginning)), batch.mask], dim=1)
        before = compute(model, beginning)
        with torch.inference_mode():
            kept = cache(before, len(rests))
            together = model(input_ids=batch.ids, attention_mask=mask, past_key_values=kept, use_cache=True).logits
            for row, rest in enumerate(rests):
                ids = torch.tensor([beginning + rest], device=model.device)
                alone = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0].float()
                gap = together[row, : len(rest)].float() - alone[len(beginning) :]
                if not gap.square().mean().sqrt() <= ROUNDING[model.dtype] * alone.std():
                    return False
    except (AttributeError, CellError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return False  # another kind of cache, or none: each architecture fails in its own way
    return True
