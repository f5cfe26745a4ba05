"""Token ids of prompts: special tokens exactly once, cuts on the left, batches under a token budget.

Padding is told from text by row lengths and the attention mask alone. Many tokenizers have no padding token, or use
the end-of-text token for it, so a token id says nothing; and the vocabulary is never resized.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

from app.errors import CellError
from app.models import pieces

Tokens = tuple[int, ...]

FILL = 0
"""The id in padded places: hidden by the mask, and valid in every vocabulary, as some padding tokens are not."""


class Padded(NamedTuple):
    """A batch: token ids and attention mask (1: text, 0: padding), both of shape (rows, width)."""

    ids: torch.Tensor
    mask: torch.Tensor


def leading(tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """The special tokens that the tokenizer puts before a plain text: BOS, or nothing."""
    bare = _ids(tokenizer, ["a"], special=False)[0]
    full = _ids(tokenizer, ["a"], special=True)[0]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    return ()


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], special: bool = True) -> list[Tokens]:
    """Token ids of each text, after the leading special tokens if `special` and if it does not begin with them.

    An end-of-text token that a tokenizer appends by itself is left out: a prompt goes on.
    """
    prefix = leading(tokenizer) if special else ()
    return [begun(tuple(ids), prefix) for ids in _ids(tokenizer, texts, special=False)]


def begun(row: Tokens, prefix: Tokens) -> Tokens:
    """`row` behind `prefix`, if it does not begin with it."""
    return row if row[: len(prefix)] == prefix else prefix + row


def start_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """What stands in for an empty context: BOS, else EOS. Raises CellError where there is neither."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if isinstance(token, int):
            return token
    raise CellError("an empty context needs a first token, but the tokenizer has neither BOS nor EOS")


def cut(context: Tokens, room: int, prefix: Tokens) -> tuple[Tokens, int]:
    """`context` shortened from the left to `room` tokens, and how many were dropped; a leading `prefix` stays."""
    dropped = len(context) - room
    if dropped <= 0:
        return context, 0
    kept = prefix if context[: len(prefix)] == prefix and len(prefix) < room else ()
    return kept + context[len(kept) + dropped :], dropped


def batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Places of `lengths`, longest first, in batches whose padded size stays within `batch_tokens` tokens.

    A row longer than the budget makes a batch of its own. The same lengths always give the same batches.
    """
    result: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        # Sorted: the first row of a batch is its longest, so it gives the batch its width.
        if result and (len(result[-1]) + 1) * lengths[result[-1][0]] <= batch_tokens:
            result[-1].append(place)
        else:
            result.append([place])
    return result


def padded(rows: Sequence[Tokens], side: Literal["left", "right"], device: str) -> Padded:
    """`rows` as one rectangle, filled up on `side`."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), FILL, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        span = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[place, span] = torch.tensor(row, dtype=torch.long)
        mask[place, span] = 1
    return Padded(ids.to(device), mask.to(device))


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], special: bool) -> list[list[int]]:
    if not texts:
        return []
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        # verbose=False: no warning about texts longer than the context, since they are cut here.
        encoded = tokenizer(list(texts), add_special_tokens=special, padding=False, truncation=False, verbose=False)
        return encoded["input_ids"]  # pyright: ignore[reportReturnType]  # lists, as no tensors were asked for
    backend.no_truncation()
    backend.no_padding()
    read = None if special else pieces.encode(tokenizer, texts)
    if read is not None:
        return read
    # What a tokenizer's call does, without the place of each token in the text.
    return [row.ids for row in backend.encode_batch_fast(list(texts), add_special_tokens=special)]
