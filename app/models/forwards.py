"""From a context and the options behind it to the logits of every option token: three ways, to the same numbers.

tree   one row an item: the context once, its options as branches under a mask (see trees.py)
cache  contexts side by side; each option then continues from the keys and values of its context
rows   a row an option, whole; a row that begins another one rides along in it

The first two continue a prefix that all contexts share. Which of them a model allows is tried on a few tokens, not
looked up: biases by distance (ALiBi) forbid the tree, recurrent layers the cache.
"""

import inspect
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from app.models import columns, decoding, prefix, trees
from app.models.logits import logits
from app.models.prefix import ROUNDING, Prefix
from app.models.tokens import Tokens, padded

Path = Literal["tree", "cache", "rows"]

_paths: weakref.WeakKeyDictionary[PreTrainedModel, Path] = weakref.WeakKeyDictionary()
_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")  # no few tokens could tell


class Item(NamedTuple):
    """A context, which begins with the prefix of its batch, and the options behind it."""

    context: Tokens
    options: tuple[Tokens, ...]

    @property
    def columns(self) -> int:
        """Tokens of its tree, at most: options may share beginnings."""
        return len(self.context) + sum(len(option) - 1 for option in self.options)


class Found(NamedTuple):
    """Logits, a part at a time, and where each option finds its own."""

    parts: Iterator[torch.Tensor]
    """Of shape (rows, vocabulary); the last ones may still have to be computed."""
    rows: tuple[tuple[tuple[int, ...], ...], ...]
    """For each item and option, the rows that predict the option's tokens."""


def path(model: PreTrainedModel) -> Path:
    """The fastest way that gives the model's own numbers; kept for the life of the model."""
    if model not in _paths:
        _paths[model] = "tree" if _branches(model) else "cache" if decoding.decodes(model, prefixed=True) else "rows"
    return _paths[model]


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


def through_cache(model: PreTrainedModel, before: Prefix | None, items: Sequence[Item], batch_tokens: int) -> Found:
    """The contexts at once, then the options in as many rows at once as hold `batch_tokens` tokens."""
    contexts = [item.context for item in items]
    ids, mask = padded(contexts, "left", str(model.device))
    width = ids.shape[1]
    cache = columns.begun(before, [width - len(context) for context in contexts], width)
    skip = len(before.tokens) if before else 0
    last = torch.arange(1, len(items) + 1, device=mask.device) * (width - skip) - 1
    parts = [*logits(model, _continued(model, cache, ids[:, skip:], mask), last)]
    branches = [(row, option[:-1]) for row, item in enumerate(items) for option in item.options if len(option) > 1]
    wanted: dict[tuple[int, Tokens], list[int]] = {}
    count = len(items)
    for start_end in _portions([width + len(rest) for _, rest in branches], batch_tokens):
        portion = branches[start_end]
        rests, texts = padded([rest for _, rest in portion], "right", str(model.device))
        rows = torch.tensor([row for row, _ in portion], device=mask.device)
        grown = columns.joined([columns.Part(cache, rows, width)], width + rests.shape[1])
        seen = torch.cat([mask[rows], texts], dim=1)
        places = texts.flatten().nonzero()[:, 0]
        parts += logits(model, _continued(model, grown, rests, seen), places)
        for row, rest in portion:
            wanted[row, rest] = list(range(count, count + len(rest)))
            count += len(rest)
    found = tuple(
        tuple((row, *wanted.get((row, option[:-1]), ())) for option in item.options) for row, item in enumerate(items)
    )
    return Found(iter(parts), found)


def through_rows(model: PreTrainedModel, rows: Sequence[Tokens], places: Sequence[tuple[int, int]]) -> Found:
    """Whole rows, and (row, column) of each logit row that is wanted, in one item of one option."""
    batch = padded(rows, "right", str(model.device))
    width = batch.ids.shape[1]
    flat = torch.tensor([row * width + column for row, column in places], device=model.device)
    given = {"input_ids": batch.ids, "attention_mask": batch.mask, "use_cache": False}
    return Found(logits(model, given, flat), ((tuple(range(len(places))),),))


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


def _portions(lengths: Sequence[int], batch_tokens: int) -> Iterator[slice]:
    """Runs of rows whose padded size stays within the budget; one row at least."""
    start = 0
    while start < len(lengths):
        end, widest = start + 1, lengths[start]
        while end < len(lengths) and max(widest, lengths[end]) * (end + 1 - start) <= batch_tokens:
            widest = max(widest, lengths[end])
            end += 1
        yield slice(start, end)
        start = end


def _branches(model: PreTrainedModel) -> bool:
    """Whether branches of one row get the logits that each option gets alone behind its whole context."""
    beginning = (5, 6, 7, 8, 9, 10, 11)
    items = [
        Item((*beginning, 8, 9, 10), ((11, 12, 3, 4), (12, 9), (11, 12, 7, 8, 9))),
        Item((*beginning, 12), ((9, 3, 5),)),
    ]
    try:
        if not prefix.holds(model):
            return False
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
                            return False
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return False  # a mask of another shape, no positions, another cache: each architecture fails in its own way
    return True
