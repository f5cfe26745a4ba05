"""The loop of greedy decoding: rows of like length side by side; a finished row leaves, a waiting one takes its place.

A prefix that all rows share goes through the model once. Every row of a batch ends in the same column (see columns.py).
"""

import inspect
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from transformers import DynamicCache, PreTrainedModel

from app.models import columns
from app.models.budget import Room
from app.models.logits import bounded, logits, rows_at_once
from app.models.prefix import ROUNDING, Prefix, compute, holds
from app.models.tokens import Tokens, padded

Ended = Callable[[Sequence[int]], bool]
"""New tokens of a row -> whether the last of them ends it."""

_Forward = Callable[[DynamicCache, torch.Tensor, torch.Tensor], torch.Tensor]
"""Cache, ids of shape (rows, columns), mask of shape (rows, all columns) -> logits of the last column."""

CACHES = 2
"""Caches at once, while a batch is made anew."""
_LEFT = 0.75
"""Share of rows still under way at which a batch is made anew from them and from waiting rows, which copies them."""

_decoding: weakref.WeakKeyDictionary[PreTrainedModel, dict[bool, bool]] = weakref.WeakKeyDictionary()


@dataclass(eq=False)
class Row:
    """A prompt, and what was written after it."""

    tokens: Tokens
    text: list[int] = field(default_factory=list[int])
    done: bool = False


@dataclass
class _Batch:
    """Rows under way."""

    rows: list[Row]
    cache: DynamicCache
    mask: torch.Tensor
    """(rows, columns): 1 where there is text."""
    logits: torch.Tensor
    """(rows, vocabulary): what comes next."""


class _Fits(NamedTuple):
    """What a batch may hold."""

    room: Room
    new: int
    shared: int
    """Tokens of the prefix."""
    logits: int
    """Rows of the vocabulary's width."""

    def __call__(self, fresh: int, longest: int, rows: int, widest: int) -> bool:
        """Whether `fresh` rows of up to `longest` tokens may be read to make a batch of `rows` up to `widest`."""
        read, held = fresh * (longest - self.shared), CACHES * rows * (widest + self.new)
        return read <= self.room.tokens and held <= self.room.columns and rows <= self.logits


def decode(
    model: PreTrainedModel, rows: Sequence[Row], new: int, ended: Ended, prefix: Prefix | None, room: Room
) -> None:
    """Write the greedy continuation of each row, up to the token that `ended` tells or to `new` tokens.

    Every row begins with `prefix` and has at least one token more. `room` bounds what is read at once behind the prefix
    and the columns of the cache. Rows that are done when an error stops the loop stay so.
    """
    for row in rows:
        row.text.clear()
    waiting = sorted(rows, key=lambda row: (len(row.tokens), row.tokens))
    shared = len(prefix.tokens) if prefix else 0
    forward, fits = _forward(model), _Fits(bounded(model, room), new, shared, rows_at_once(model))
    batch: _Batch | None = None
    with torch.inference_mode():
        while batch or waiting:
            live = [row for row in batch.rows if not row.done] if batch else []
            if batch is None or len(live) <= _LEFT * len(batch.rows):
                fresh = _fitting(waiting, live, fits)
                parts = [batch] if batch and live else []
                if fresh:
                    parts.append(_read(forward, fresh, prefix, str(model.device), new))
                    _write(parts[-1], new, ended)
                batch = _joined(parts, new)
            else:
                _step(forward, batch)
                _write(batch, new, ended)


def decodes(model: PreTrainedModel, *, prefixed: bool) -> bool:
    """Whether rows of different lengths side by side get the logits that each gets alone, tried on a few tokens.

    `prefixed`: also where they continue a shared prefix. Kept for the life of the model.
    """
    known = _decoding.setdefault(model, {})
    if prefixed not in known:
        known[prefixed] = holds(model) and _same(model, prefixed)
    return known[prefixed]


def _fitting(waiting: list[Row], live: list[Row], fits: _Fits) -> list[Row]:
    """Taken from the end of `waiting`: the longest rows that fit beside those under way, one at least where none is."""
    fresh: list[Row] = []
    widest = max((len(row.tokens) + len(row.text) for row in live), default=0)
    while waiting:
        longest = len((fresh or waiting[-1:])[0].tokens)
        widest = max(widest, longest)
        if (live or fresh) and not fits(len(fresh) + 1, longest, len(live) + len(fresh) + 1, widest):
            break
        fresh.append(waiting.pop())
    return fresh


def _forward(model: PreTrainedModel) -> _Forward:
    placed = "position_ids" in inspect.signature(model.forward).parameters

    def forward(cache: DynamicCache, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        given = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache, "use_cache": True}
        if placed:
            given["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        rows, width = ids.shape
        return torch.cat([*logits(model, given, torch.arange(1, rows + 1, device=ids.device) * width - 1)])

    return forward


def _read(forward: _Forward, rows: list[Row], prefix: Prefix | None, device: str, new: int) -> _Batch:
    """The prompts behind the prefix go through the model."""
    prompts = [row.tokens for row in rows]
    ids, mask = padded(prompts, "left", device)
    width = ids.shape[1]
    cache = columns.begun(prefix, [width - len(prompt) for prompt in prompts], width + new)
    return _Batch(rows, cache, mask, forward(cache, ids[:, len(prefix.tokens) if prefix else 0 :], mask))


def _step(forward: _Forward, batch: _Batch) -> None:
    """The newest token of every row goes through the model."""
    newest = torch.tensor([[row.text[-1]] for row in batch.rows], device=batch.mask.device)
    batch.mask = torch.cat([batch.mask, torch.ones_like(newest)], dim=1)
    batch.logits = forward(batch.cache, newest, batch.mask)


def _write(batch: _Batch, new: int, ended: Ended) -> None:
    for row, token in zip(batch.rows, batch.logits.argmax(-1).tolist(), strict=True):
        if not row.done:
            row.text.append(token)
            row.done = len(row.text) == new or ended(row.text)


def _joined(parts: list[_Batch], new: int) -> _Batch | None:
    """The rows of `parts` that are under way; None where there is none."""
    rows = [row for part in parts for row in part.rows if not row.done]
    if not rows:
        return None
    if len(parts) == 1 and len(rows) == len(parts[0].rows):
        return parts[0]
    kept: list[columns.Part] = []
    masks: list[torch.Tensor] = []
    for part in parts:
        places = [place for place, row in enumerate(part.rows) if not row.done]
        if places:
            mask = part.mask[torch.tensor(places, device=part.mask.device)]
            # The newest token is in no cache yet: it goes in with the next step.
            kept.append(columns.Part(part.cache, torch.tensor(places, device=mask.device), int(mask.sum(1).max())))
            masks.append(mask)
    end = max(part.width for part in kept)
    mask = torch.cat([torch.nn.functional.pad(mask, (end - mask.shape[1], 0)) for mask in masks])
    logits = torch.empty(0, device=mask.device)
    return _Batch(rows, columns.joined(kept, end + new), mask, logits)


def _same(model: PreTrainedModel, prefixed: bool) -> bool:
    beginning, rests = tuple(range(1, 8)), [(8, 9, 10, 11, 12), (12, 3)]
    rows = [Row(beginning + rest) for rest in rests]
    forward = _forward(model)
    with torch.inference_mode():
        try:
            batch = _read(forward, rows, compute(model, beginning) if prefixed else None, str(model.device), 2)
            first = batch.logits
            for row, token in zip(rows, (5, 6), strict=True):
                row.text.append(token)
            _step(forward, batch)
            together = torch.stack([first, batch.logits], dim=1).float()
            for row, found in zip(rows, together, strict=True):
                ids = torch.tensor([(*row.tokens, *row.text)], device=model.device)
                alone = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0, -2:]
                gap = found - alone.float()
                if not gap.square().mean().sqrt() <= ROUNDING[model.dtype] * alone.float().std():
                    return False
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
            return False  # each architecture that keeps another cache fails in its own way
    return True
