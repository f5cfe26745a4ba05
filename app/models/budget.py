"""How many tokens go through a model at once, and what happens where memory runs out all the same.

The same requests give the same batches on every machine that has room for `MOST`, so that numbers agree to the bit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import psutil
import torch

from app.errors import CellError
from app.models.loading import LoadedModel, causal
from app.models.tokens import batches

MOST = {"cpu": 2_048, "cuda": 16_384}
"""Padded tokens of one forward where memory is plenty: bigger batches gain nothing, and outgrow a processor's cache."""
_SHARE = 0.5  # of what is free at the start; the rest is for logits, caches and others
_STATES = 24  # hidden states, in widths, that a token has at once inside a layer: queries to the feed-forward's
READ = 16
"""Cached columns that weigh as much as one computed: copied for a while, not computed."""


class Room(NamedTuple):
    """What one forward may take."""

    tokens: int
    """Padded tokens to compute."""
    columns: int
    """Padded tokens whose keys and values are held."""

    def weight(self, computed: int, held: int) -> int:
        """The tokens of a row that count against `tokens`, where it computes some and holds as many columns."""
        return max(computed, -(-held * self.tokens // self.columns))


def found(loaded: LoadedModel) -> int:
    """Padded tokens of one forward, from the memory that is free now."""
    config = causal(loaded).config.get_text_config()
    each = _STATES * config.hidden_size * causal(loaded).dtype.itemsize
    return max(1, min(MOST[torch.device(loaded.device).type], int(_free(loaded) * _SHARE / each)))


def room(loaded: LoadedModel, batch_tokens: int | None = None) -> Room:
    """What fits into the memory that is free now; `batch_tokens` in the place of the tokens found."""
    tokens = found(loaded) if batch_tokens is None else batch_tokens
    return Room(tokens, max(1, min(tokens * READ, int(_free(loaded) * _SHARE / _column(loaded)))))


def each(lengths: Sequence[int], batch_tokens: int, work: Callable[[list[int]], None]) -> None:
    """Call `work` with the places of batches of `lengths`, padded to at most `batch_tokens` tokens, longest first.

    A batch for which memory is out is worked on again in two halves, and so are those after it. Raises CellError where
    not even one row fits.
    """
    waiting = batches(lengths, batch_tokens)[::-1]
    most = max(map(len, waiting), default=1)
    while waiting:
        batch = waiting.pop()
        if len(batch) > most:
            waiting += [batch[most:], batch[:most]]
            continue
        try:
            work(batch)
            continue
        except (MemoryError, RuntimeError) as fault:
            if not is_out_of_memory(fault):
                raise
            if len(batch) == 1:
                raise CellError(
                    f"a prompt of {lengths[batch[0]]} tokens does not fit into memory: take fewer shots, or give the "
                    f"cell more memory"
                ) from None
        most = (len(batch) + 1) // 2  # outside of the handler, which would keep the failed forward's tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        waiting.append(batch)


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether memory was out: where the CPU's is, torch raises a plain RuntimeError that names its allocator."""
    return isinstance(fault, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(fault)


def _free(loaded: LoadedModel) -> int:
    """Bytes."""
    device = torch.device(loaded.device)
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def _column(loaded: LoadedModel) -> int:
    """Bytes of the keys and values of one token in all layers; more where heads share them and no name says so."""
    config = causal(loaded).config.get_text_config()
    heads = getattr(config, "num_attention_heads", None) or 1
    width = getattr(config, "head_dim", None) or getattr(config, "d_kv", None) or config.hidden_size // heads
    sharing = getattr(config, "num_key_value_heads", None) or heads
    return 2 * config.num_hidden_layers * sharing * width * causal(loaded).dtype.itemsize
