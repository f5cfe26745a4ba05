"""What follows one context in several ways: the options of an item, each distinct beginning of them once."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from app.models.tokens import Tokens


class Item(NamedTuple):
    """A context, which begins with the prefix of its batch, and the options behind it."""

    context: Tokens
    options: tuple[Tokens, ...]

    @property
    def columns(self) -> int:
        """Tokens of its tree, at most: options may share beginnings."""
        return len(self.context) + sum(map(len, self.options)) - len(self.options)

    @property
    def row(self) -> Tokens:
        """What its only option asks for, whole: the last token predicts nothing that is asked."""
        (option,) = self.options
        return self.context + option[:-1]


class Found(NamedTuple):
    """Logits, a part at a time, and where each option finds its own."""

    parts: Iterator[torch.Tensor]
    """Of shape (rows, vocabulary); the last ones may still have to be computed."""
    rows: tuple[tuple[tuple[int, ...], ...], ...]
    """For each item and option, the rows that predict the option's tokens."""


class Branch(NamedTuple):
    """Tokens that go on from a row of a batch."""

    row: int
    tokens: Tokens


def hosts(rows: Sequence[Tokens]) -> dict[Tokens, Tokens]:
    """For each of `rows` the longest of them that begins with it: what is computed there serves both."""
    distinct = sorted(set(rows))
    found: dict[Tokens, Tokens] = {}
    # Whatever begins any row begins its successor in sorted order, so one pass from the end finds the longest.
    for row, successor in zip(reversed(distinct), [(), *reversed(distinct)], strict=False):
        found[row] = found[successor] if successor and successor[: len(row)] == row else row
    return found


def portions(lengths: Sequence[int], batch_tokens: int) -> Iterator[slice]:
    """Runs of rows whose padded size stays within the budget; one row at least."""
    start = 0
    while start < len(lengths):
        end, widest = start + 1, lengths[start]
        while end < len(lengths) and max(widest, lengths[end]) * (end + 1 - start) <= batch_tokens:
            widest = max(widest, lengths[end])
            end += 1
        yield slice(start, end)
        start = end


class Spread:
    """The branches of some items, and where the logits of each are found as they come."""

    def __init__(self, items: Sequence[Item], lead: Tokens = ()) -> None:
        """`lead` stands before each option; what an option's own first token is predicted from, if it is not empty."""
        self._lead = lead
        self._rows = [[lead + option[:-1] for option in item.options] for item in items]
        self._hosts = [hosts(rows) for rows in self._rows]
        self._columns: dict[Branch, range] = {}
        self.branches = sorted(
            {Branch(row, tokens) for row, found in enumerate(self._hosts) for tokens in found.values() if tokens},
            key=lambda branch: (len(branch.tokens), branch),
        )
        """Shortest first, so that those of like length stand together."""

    def note(self, portion: Sequence[Branch], start: int) -> int:
        """The logits of all tokens of `portion` stand in rows from `start`; returns the row behind them."""
        for branch in portion:
            self._columns[branch] = range(start, start + len(branch.tokens))
            start += len(branch.tokens)
        return start

    def rows(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """As in `Found`; without a lead, the first token of the options of item i is predicted in row i."""
        return tuple(
            tuple((*(() if self._lead else (row,)), *self._found(row, tokens)) for tokens in options)
            for row, options in enumerate(self._rows)
        )

    def _found(self, row: int, tokens: Tokens) -> Sequence[int]:
        host = self._hosts[row][tokens]
        return self._columns[Branch(row, host)][: len(tokens)] if tokens else ()
