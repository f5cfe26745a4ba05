"""How many tokens go through a model at once, and what happens where memory runs out all the same.

The same requests give the same batches on every machine that has room for `MOST`, so that numbers agree to the bit.
"""

from collections.abc import Callable, Sequence

import psutil
import torch

from app.errors import CellError
from app.models.loading import LoadedModel, causal
from app.models.tokens import batches

MOST = {"cpu": 8_192, "cuda": 16_384}
"""Padded tokens of one forward where memory is plenty: bigger batches gain nothing."""
_SHARE = 0.5  # of what is free at the start; the rest is for logits, caches and others
_STATES = 24  # hidden states, in widths, that a token has at once inside a layer: queries to the feed-forward's


def found(loaded: LoadedModel) -> int:
    """Padded tokens of one forward, from the memory that is free now."""
    config = causal(loaded).config.get_text_config()
    device = torch.device(loaded.device)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    each = _STATES * config.hidden_size * causal(loaded).dtype.itemsize
    return max(1, min(MOST[device.type], int(free * _SHARE / each)))


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
