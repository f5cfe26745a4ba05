"""From a context and the options behind it to the logits of every option token: three ways, to the same numbers.

tree   one row an item: the context once, its options as branches under a mask (see trees.py)
cache  contexts side by side; each option then continues from the keys and values of its context
rows   a row an option, whole; a row that begins another one rides along in it

The first two continue a prefix that all contexts share. Which of them a model allows is tried on a few tokens, not
looked up: biases by distance (ALiBi) forbid the tree, recurrent layers the cache. An encoder-decoder model has ways of
its own (see encoder_decoder.py).
"""

import inspect
import weakref
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from app.models import columns, decoding, encoder_decoder, prefix, trees
from app.models.branches import Found, Item, Spread, portions
from app.models.budget import Room
from app.models.logits import logits
from app.models.prefix import ROUNDING, Prefix
from app.models.tokens import padded

Path = Literal["tree", "cache", "rows"]

_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")  # no few tokens could tell


class Way(NamedTuple):
    """How options are scored."""

    path: Path
    reason: str
    """Why not by an earlier one; empty for the tree."""


_ways: weakref.WeakKeyDictionary[PreTrainedModel, Way] = weakref.WeakKeyDictionary()


def way(model: PreTrainedModel) -> Way:
    """The fastest way that gives the model's own numbers; kept for the life of the model, whatever adapter it has."""
    if model not in _ways:
        _ways[model] = _way(model)
    return _ways[model]


def window(model: PreTrainedModel) -> int | None:
    """Tokens that a layer looks back over; None: all. Behind it a tree would see too much, or not all of itself."""
    config = model.config.get_text_config()
    stated = [getattr(config, name, None) for name in _WINDOWS]
    return min((value for value in stated if isinstance(value, int) and value > 0), default=None)


def through_tree(model: PreTrainedModel, before: Prefix | None, items: Sequence[Item]) -> Found:
    """One row an item."""
    skip = len(before.tokens) if before else 0
    grown = [trees.grow(item.context[skip:], item.options) for item in items]
    forest = trees.plant(grown, skip, model.dtype, model.device)
    width = forest.ids.shape[1]
    wanted: dict[int, int] = {}
    rows = tuple(
        tuple(tuple(wanted.setdefault(row * width + column, len(wanted)) for column in path) for path in tree.paths)
        for row, tree in enumerate(grown)
    )
    given = {
        "input_ids": forest.ids,
        "attention_mask": forest.mask,
        "position_ids": forest.positions,
        "past_key_values": _lent(before, len(items)),
        "use_cache": True,
    }
    return Found(logits(model, given, torch.tensor(list(wanted), device=model.device)), rows)


def through_cache(model: PreTrainedModel, before: Prefix | None, items: Sequence[Item], room: Room) -> Found:
    """The contexts at once, then the options, as many at once as `room` holds."""
    contexts = [item.context for item in items]
    ids, mask = padded(contexts, "left", str(model.device))
    width = ids.shape[1]
    cache = columns.begun(before, [width - len(context) for context in contexts], width)
    skip = len(before.tokens) if before else 0
    last = torch.arange(1, len(items) + 1, device=mask.device) * (width - skip) - 1
    parts = [*logits(model, _continued(model, cache, ids[:, skip:], mask), last)]
    spread, count = Spread(items), len(items)
    weights = [room.weight(len(branch.tokens), width + len(branch.tokens)) for branch in spread.branches]
    for span in portions(weights, room.tokens):
        portion = spread.branches[span]
        rests, texts = padded([branch.tokens for branch in portion], "right", str(model.device))
        rows = torch.tensor([branch.row for branch in portion], device=mask.device)
        grown = columns.joined([columns.Part(cache, rows, width)], width + rests.shape[1])
        given = _continued(model, grown, rests, torch.cat([mask[rows], texts], dim=1))
        parts += logits(model, given, texts.flatten().nonzero()[:, 0])
        count = spread.note(portion, count)
    return Found(iter(parts), spread.rows())


def through_rows(model: PreTrainedModel, groups: Sequence[Sequence[Item]]) -> Found:
    """A row for each group of items with one option: the longest, whole, which begins with all others."""
    batch = padded([max((item.row for item in group), key=len) for group in groups], "right", str(model.device))
    width = batch.ids.shape[1]
    wanted: dict[int, int] = {}
    rows: list[tuple[tuple[int, ...]]] = []
    for row, group in enumerate(groups):
        for item in group:
            start = row * width + len(item.context) - 1
            places = range(start, start + len(item.options[0]))
            rows.append((tuple(wanted.setdefault(place, len(wanted)) for place in places),))
    given = {"input_ids": batch.ids, "attention_mask": batch.mask, "use_cache": False}
    return Found(logits(model, given, torch.tensor(list(wanted), device=model.device)), tuple(rows))


class _Lent(DynamicLayer):
    """A layer of a cache that is read and never grows: what a forward appends is forgotten with its layer."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The columns that are there, and those of this forward."""
        if self.keys is None or self.values is None:
            return key_states, value_states
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def _lent(before: Prefix | None, rows: int) -> DynamicCache:
    """The prefix for `rows` rows, as views."""
    cache = DynamicCache()
    if before is None:
        cache.layer_class_to_replicate = _Lent
        return cache
    for keys, values in before.layers:
        layer = _Lent()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)
        cache.layers.append(layer)
    return cache


def _continued(model: PreTrainedModel, cache: DynamicCache, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, object]:
    """What a model is given to go on from a cache; `mask` covers all columns."""
    given: dict[str, object] = {
        "input_ids": ids,
        "attention_mask": mask,
        "past_key_values": cache,
        "use_cache": True,
    }
    if "position_ids" in inspect.signature(model.forward).parameters:
        given["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    return given


def _way(model: PreTrainedModel) -> Way:
    if model.config.is_encoder_decoder:
        if encoder_decoder.continues(model):
            return Way("cache", "an encoder reads the context")
        return Way("rows", "an encoder reads the context; the decoder's start cannot be continued to the same numbers")
    if not prefix.holds(model):
        moving = "the rotation of a token depends on how long its row becomes"
        return Way("rows", moving if prefix.moves(model) else "its state of a beginning gives other numbers, or none")
    reason = _unbranching(model)
    if not reason:
        return Way("tree", "")
    if decoding.decodes(model, prefixed=True):
        return Way("cache", reason)
    return Way("rows", f"{reason}; padding before a context changes its numbers")


def _unbranching(model: PreTrainedModel) -> str:
    """Why branches of one row do not get the logits that each option gets alone behind its whole context, or nothing.

    The first branch is long, so that those behind it stand far from their context: a bias by distance must show.
    """
    beginning = (5, 6, 7, 8, 9, 10, 11)
    far = (12, 3, 4, 5, 6, 7, 8, 9) * 3
    items = [
        Item((*beginning, 8, 9, 10), (far, (11, 12, 3, 4), (11, 12, 7, 8))),
        Item((*beginning, 12), ((9, 3, 5),)),
    ]
    try:
        with torch.inference_mode():
            before = prefix.compute(model, beginning)
            for found in (through_tree(model, before, items), through_tree(model, None, items)):
                together = torch.cat([*found.parts]).float()
                for item, options in zip(items, found.rows, strict=True):
                    for option, rows in zip(item.options, options, strict=True):
                        ids = torch.tensor([item.context + option], device=model.device)
                        whole = model(input_ids=ids, use_cache=False).logits[0, len(item.context) - 1 : -1].float()
                        gap = together[list(rows)] - whole
                        if not gap.square().mean().sqrt() <= ROUNDING[model.dtype] * whole.std():
                            return "branches under a mask get other numbers"
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as fault:
        return f"branches under a mask are refused ({type(fault).__name__})"  # each architecture in its own way
    return ""
