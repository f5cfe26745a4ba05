"""An item as one row: its context once, then the answer options as branches that share their beginnings.

Every token sees what leads to it and nothing else: a mask keeps branches apart, positions begin anew behind the
context. The last token of an option predicts nothing that is asked, so it is in no row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from app.models.tokens import FILL, Tokens


class Tree(NamedTuple):
    """One row."""

    tokens: Tokens
    """The context, then all branches."""
    parents: tuple[int, ...]
    """Column of the token before each one; -1 for the first."""
    depths: tuple[int, ...]
    """Tokens before each one, on its own path."""
    paths: tuple[tuple[int, ...], ...]
    """For each option the columns that predict its tokens."""


class Forest(NamedTuple):
    """A batch of trees behind a prefix of `before` tokens."""

    ids: torch.Tensor
    """(rows, columns)."""
    positions: torch.Tensor
    """(rows, columns)."""
    mask: torch.Tensor
    """(rows, 1, columns, before + columns): what is added to attention scores, 0 or the least finite number."""


def grow(context: Tokens, options: Sequence[Tokens]) -> Tree:
    """The row of a context, of which there is at least one token, and the options that are scored behind it."""
    tokens, parents, depths = list(context), list(range(-1, len(context) - 1)), list(range(len(context)))
    known: dict[tuple[int, int], int] = {}
    paths: list[tuple[int, ...]] = []
    for option in options:
        path = [len(context) - 1]
        for token in option[:-1]:
            step = (path[-1], token)
            if step not in known:
                known[step] = len(tokens)
                tokens.append(token)
                parents.append(path[-1])
                depths.append(depths[path[-1]] + 1)
            path.append(known[step])
        paths.append(tuple(path))
    return Tree(tuple(tokens), tuple(parents), tuple(depths), tuple(paths))


def plant(trees: Sequence[Tree], before: int, dtype: torch.dtype, device: torch.device) -> Forest:
    """The batch of some trees; columns that fill up a row see all of it, and nobody sees them."""
    width = max(len(tree.tokens) for tree in trees)
    ids = np.full((len(trees), width), FILL)
    positions = np.full((len(trees), width), before)
    seen = np.ones((len(trees), width, width), dtype=bool)
    for row, tree in enumerate(trees):
        length = len(tree.tokens)
        ids[row, :length] = tree.tokens
        positions[row, :length] += tree.depths
        seen[row, :length] = _seen(tree, width)
        seen[row, length:, length:] = False
    added = torch.zeros(len(trees), 1, width, before + width, dtype=dtype, device=device)
    unseen = torch.from_numpy(~seen).to(device)[:, None]
    added[..., before:].masked_fill_(unseen, torch.finfo(dtype).min)
    return Forest(torch.from_numpy(ids).to(device), torch.from_numpy(positions).to(device), added)


def _seen(tree: Tree, width: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Which columns each token of a tree sees, shape (tokens, width)."""
    seen = np.tril(np.ones((len(tree.tokens), width), dtype=bool))
    straight = next((i for i, parent in enumerate(tree.parents) if parent != i - 1), len(tree.tokens))
    for column in range(straight, len(tree.tokens)):  # a parent stands before its children
        seen[column] = seen[tree.parents[column]]
        seen[column, column] = True
    return seen
