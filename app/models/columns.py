"""Keys and values of many rows in memory reserved beforehand: appending a column copies nothing of what is there.

Rows end in the same column, as with padding on the left, so masks, sliding windows and relative positions are those
that every architecture knows. No column is ever dropped: behind a sliding window the mask hides it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from app.models.prefix import Prefix


class Part(NamedTuple):
    """Some rows of a cache."""

    cache: DynamicCache
    rows: torch.Tensor
    """Their places in the cache."""
    width: int
    """Columns of the longest; they are the cache's last."""


class _Columns(DynamicLayer):
    """One layer, with memory for `room` columns."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._reserved: tuple[torch.Tensor, torch.Tensor] | None = None

    def reserve(self, keys: torch.Tensor, values: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Zeros for `rows` rows with the heads of `keys` and `values`: what is hidden by a mask must be a number."""
        self.lazy_initialization(keys, values)
        self._reserved = (
            keys.new_zeros(rows, keys.shape[1], self._room, keys.shape[3]),
            values.new_zeros(rows, values.shape[1], self._room, values.shape[3]),
        )
        return self._reserved

    def show(self, end: int) -> None:
        """Take the first `end` columns for filled."""
        keys, values = cast(tuple[torch.Tensor, torch.Tensor], self._reserved)
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append columns; all filled ones, as views."""
        keys, values = self._reserved or self.reserve(key_states, value_states, len(key_states))
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.show(end)
        return cast(torch.Tensor, self.keys), cast(torch.Tensor, self.values)


def begun(prefix: Prefix | None, pads: Sequence[int], room: int) -> DynamicCache:
    """A cache with as many columns filled as `prefix` has tokens: row i holds its beginning, after `pads[i]` columns.

    What a row lacks of the prefix at the end must be computed again; that is what other rows have more of text.
    """
    cache = DynamicCache()
    cast(Any, cache).layer_class_to_replicate = partial(_Columns, room)  # typed as a class; it is only called
    if prefix is None:
        return cache
    count = len(prefix.tokens)
    device = prefix.layers[0][0].device
    shifted = torch.arange(count, device=device) - torch.tensor(pads, device=device)[:, None]
    for layer in prefix.layers:
        columns = _Columns(room)
        for memory, states in zip(columns.reserve(*layer, len(pads)), layer, strict=True):
            memory[:, :, :count] = states[0][:, shifted.clamp(min=0)].transpose(0, 1)
        columns.show(count)
        cache.layers.append(columns)
    return cache


def joined(parts: Sequence[Part], room: int) -> DynamicCache:
    """The rows of all parts in one new cache, in order, all ending in the column in which the longest ends."""
    end = max(part.width for part in parts)
    rows = sum(len(part.rows) for part in parts)
    cache = DynamicCache()
    for layers in zip(*(part.cache.layers for part in parts), strict=True):
        kept = [(cast(torch.Tensor, layer.keys), cast(torch.Tensor, layer.values)) for layer in layers]
        columns = _Columns(room)
        memories = columns.reserve(*kept[0], rows)
        start = 0
        for part, pair in zip(parts, kept, strict=True):
            span = slice(start, start + len(part.rows))
            for memory, states in zip(memories, pair, strict=True):
                memory[span, :, end - part.width : end] = states[part.rows, :, states.shape[2] - part.width :]
            start = span.stop
        columns.show(end)
        cache.layers.append(columns)
    return cache
