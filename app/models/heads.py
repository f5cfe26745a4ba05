"""Output heads: whether a model's logits are its head of the last hidden state, so that a caller may choose the places.

The answer is tried, not looked up: nothing in a configuration tells of a soft cap, a scale or a second projection.
"""

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel

_plain: weakref.WeakKeyDictionary[nn.Module, bool] = weakref.WeakKeyDictionary()


def plain(model: PreTrainedModel) -> bool:
    """Whether logits are the output embeddings of the last hidden state and nothing else; kept for the model's life.

    Tried on three tokens, in the model's own mode: with dropout no two passes agree.
    """
    if model not in _plain:
        _plain[model] = _is_plain(model)
    return _plain[model]


def head(model: PreTrainedModel) -> nn.Module | None:
    """The module that turns hidden states into logits, where the model has one."""
    try:
        return cast(nn.Module | None, model.get_output_embeddings())
    except (AttributeError, NotImplementedError):
        return None


def hidden(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Last hidden states of a batch, shape (rows, columns, width)."""
    return model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)[0]


@contextmanager
def rows_only(head: nn.Module, places: torch.Tensor) -> Generator[None]:
    """Give the head one row: the hidden states at `places` of the flattened batch."""

    def gather(_: nn.Module, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return given[0].flatten(0, 1)[places][None]

    hook = head.register_forward_pre_hook(gather)
    try:
        yield
    finally:
        hook.remove()


def _is_plain(model: PreTrainedModel) -> bool:
    """Equality is asked to the last bit: a soft cap or a scale changes small logits only by a little."""
    last = head(model)
    if last is None or model.base_model is model:
        return False
    ids = torch.arange(1, 4, device=model.device)[None]
    mask = torch.ones_like(ids)
    with torch.no_grad():  # not inference mode: what a model remembers of it must serve training too
        try:
            logits = last(hidden(model, ids, mask))
        except (AttributeError, TypeError, RuntimeError):
            return False  # a backbone of another shape or with other arguments: the model itself knows how
        return torch.equal(logits, model(input_ids=ids, attention_mask=mask, use_cache=False).logits)
