"""Training examples as one rectangle of token ids: padded to the longest, or packed several to a row.

Padding stands on the right, where causal attention hides it from every token without a mask, which costs time and bars
the fastest attention. The last token of an example is no input: it predicts nothing. Packed examples are told apart by
positions that begin anew, and only without a mask and a cache: with either, transformers lets them see each other.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, cast

import torch

from app.tuning.encoding import Encoded

_WORTH = 0.9
"""Packing pays from this share of the rows on: the mask that it costs is about as dear as the rest."""

_PASS = 1.5e6
"""A layer's arithmetic grows with the square of the width; measured at widths of 64, 192 and 576."""


class Rows(NamedTuple):
    """What goes through the model at once, and which of its predictions count."""

    ids: torch.Tensor
    """Shape (rows, columns)."""
    positions: torch.Tensor | None
    """Of the same shape, where rows hold several examples."""
    mask: torch.Tensor | None
    """Of the same shape, 1 for tokens, where the model must be told."""
    places: torch.Tensor
    """Of the predictions that count, in the flattened rectangle, shape (answer tokens,)."""
    labels: torch.Tensor
    """What is to be predicted there, of the same shape."""

    def to(self, device: torch.device) -> "Rows":
        """The same on another device."""
        ids, positions, mask, places, labels = (None if part is None else part.to(device) for part in self)
        return Rows(cast(torch.Tensor, ids), positions, mask, cast(torch.Tensor, places), cast(torch.Tensor, labels))

    def told(self) -> dict[str, torch.Tensor]:
        """What a model is given beside the ids."""
        told = {"position_ids": self.positions, "attention_mask": self.mask}
        return {name: value for name, value in told.items() if value is not None}


def padded(examples: Sequence[Encoded], *, masked: bool = False) -> Rows:
    """One example a row, filled up on the right; `masked`: with an attention mask."""
    return _laid([[example] for example in examples], positions=False, masked=masked)


def packed(examples: Sequence[Encoded], room: int) -> Rows:
    """Several examples a row, in rows of up to `room` tokens where no example is longer."""
    return _laid(_fitted(examples, room), positions=True, masked=False)


def laid(examples: Sequence[Encoded], *, masked: bool, packs: bool) -> Rows:
    """The cheapest rectangle that a model keeps apart. Rows never grow beyond the longest example: attention over them
    would cost more than padding does."""
    if packs and not masked:
        rows = _fitted(examples, max(len(example.ids) - 1 for example in examples))
        if len(rows) <= _WORTH * len(examples):
            return _laid(rows, positions=True, masked=False)
    return padded(examples, masked=masked)


class Beside(NamedTuple):
    """Groups of examples in one rectangle, each in rows of its own."""

    rows: Rows
    spans: tuple[slice, ...]
    """Of each group, in the flattened rectangle."""
    labels: tuple[int, ...]
    """How many of the labels are each group's, in their order."""


def beside(groups: Sequence[Sequence[Encoded]], *, masked: bool, packs: bool) -> Beside:
    """Several groups at once, as wide as their longest example: where a model packs, short ones share rows."""
    packs = packs and not masked
    longest = max(len(example.ids) - 1 for group in groups for example in group)
    fitted = [_fitted(group, longest) if packs else [[example] for example in group] for group in groups]
    lines = [line for rows in fitted for line in rows]
    ends = list(accumulate(len(rows) * longest for rows in fitted))
    spans = tuple(slice(start, end) for start, end in zip([0, *ends], ends, strict=False))
    labels = tuple(sum(example.answer for example in group) for group in groups)
    shares_rows = any(len(line) > 1 for line in lines)
    return Beside(_laid(lines, positions=shares_rows, masked=masked), spans, labels)


def _fitted(examples: Sequence[Encoded], room: int) -> list[list[Encoded]]:
    """First fit, longest first."""
    rows: list[list[Encoded]] = []
    left: list[int] = []
    for example in sorted(examples, key=lambda one: -len(one.ids)):
        used = len(example.ids) - 1
        place = next((index for index, free in enumerate(left) if free >= used), len(rows))
        if place == len(rows):
            rows.append([])
            left.append(max(room, used))
        rows[place].append(example)
        left[place] -= used
    return rows


def _laid(rows: Sequence[Sequence[Encoded]], *, positions: bool, masked: bool) -> Rows:
    lengths = [sum(len(example.ids) - 1 for example in row) for row in rows]
    width = max(lengths)
    ids: list[list[int]] = []
    steps: list[list[int]] = []
    places: list[int] = []
    labels: list[int] = []
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        line: list[int] = []
        for example in row:
            end = number * width + len(line) + len(example.ids) - 1
            places += range(end - example.answer, end)
            labels += example.ids[-example.answer :]
            line += example.ids[:-1]
        ids.append(line + [0] * (width - length))
        if positions:  # the filling is one more example
            parts = [*(len(example.ids) - 1 for example in row), width - length]
            steps.append([step for part in parts for step in range(part)])
    mask = torch.arange(width) < torch.tensor(lengths)[:, None] if masked else None
    return Rows(
        torch.tensor(ids),
        torch.tensor(steps) if positions else None,
        None if mask is None else mask.long(),
        torch.tensor(places),
        torch.tensor(labels),
    )


def alike(sizes: Sequence[tuple[int, int]], overhead: float) -> list[list[int]]:
    """Places of groups of (examples, longest), parted so that padding is least; a part costs `overhead` tokens.

    Each part is one rectangle; the least sum of rectangles is found over all ways to cut the groups in order of length.
    """
    order = sorted(range(len(sizes)), key=lambda place: sizes[place][1])
    best: list[tuple[float, int]] = [
        (0.0, 0)
    ]  # of the first so many groups: the cost, and where their last part begins
    for end in range(1, len(order) + 1):
        width = sizes[order[end - 1]][1]
        costs = [
            (best[start][0] + overhead + width * sum(sizes[place][0] for place in order[start:end]), start)
            for start in range(end)
        ]
        best.append(min(costs))
    parts: list[list[int]] = []
    end = len(order)
    while end:
        start = best[end][1]
        parts.append(order[start:end])
        end = start
    return parts[::-1]


def overhead(width: int) -> float:
    """Tokens whose arithmetic, in a model of that width on a CPU, takes as long as what a pass costs beside them."""
    return _PASS / width**2
