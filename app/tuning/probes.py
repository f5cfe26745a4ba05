"""What a model's architecture allows its tuning, tried on a few tokens rather than looked up: nothing lists it.

A model that fails a probe is tuned the slower way, to the same numbers.
"""

import weakref
from typing import Literal, NamedTuple, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from app.models import heads
from app.models.prefix import ROUNDING
from app.tuning.encoding import Encoded
from app.tuning.rows import Rows, packed, padded

Way = Literal["fused", "gathered", "whole"]
"""fused: the head is a plain linear map, which the loss applies itself. gathered: the head takes the wanted rows alone,
and the model does something to each logit row behind it. whole: the head takes all rows."""

_forms: weakref.WeakKeyDictionary[nn.Module, "Form"] = weakref.WeakKeyDictionary()
_FAULTS = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)  # each architecture has its own


class Form(NamedTuple):
    """How a model is tuned."""

    way: Way
    """To the logits of answer tokens."""
    masked: bool
    """It must be told of padding, even behind all tokens that count."""
    packs: bool
    """It keeps examples of one row apart by their positions."""


def form(model: nn.Module) -> Form:
    """Of a model, bare or under adapters, that lies whole on its device; kept for the life of the model."""
    bare = inner(model)
    if bare not in _forms:
        trains = model.training
        model.eval()  # dropout would make any two passes differ
        with torch.no_grad():
            alone = torch.cat([_logits(bare, padded([example])) for example in _TRIED])
            masked, packs = not _alike(bare, padded(_TRIED), alone), _alike(bare, packed(_TRIED, _ROOM), alone)
            _forms[bare] = Form(_way(bare), masked, packs)
        model.train(trains)
    return _forms[bare]


def inner(model: nn.Module) -> PreTrainedModel:
    """The transformers model within what a stepper or peft wraps."""
    whole = cast(nn.Module, getattr(model, "module", model))
    return cast(PreTrainedModel, getattr(whole, "get_base_model", lambda: whole)())


_TRIED = (Encoded((5, 6, 7, 8, 9, 10, 11, 2), 3), Encoded((1, 2, 3, 4, 5), 2), Encoded((3, 9, 4, 2), 1))
"""Longest first, as packed rows hold them."""
_ROOM = 15  # all of them in one row, and one column over


def _logits(model: PreTrainedModel, rows: Rows) -> torch.Tensor:
    """Those that count, in the order of the examples; shape (answer tokens, vocabulary)."""
    rows = rows.to(model.device)
    logits = model(input_ids=rows.ids, use_cache=False, **rows.told()).logits
    return logits.flatten(0, 1)[rows.places].float()


def _alike(model: PreTrainedModel, rows: Rows, alone: torch.Tensor) -> bool:
    """Whether rows without a mask, which hold `_TRIED`, give what each example gives alone."""
    try:
        found = _logits(model, rows)
    except _FAULTS:
        return False
    return bool((found - alone).abs().max() <= ROUNDING[model.dtype] * alone.std())


def _way(model: PreTrainedModel) -> Way:
    head = heads.head(model)
    if head is None:
        return "whole"
    if type(head) is nn.Linear and "forward" not in vars(head) and heads.plain(model):
        return "fused"
    rows = padded(_TRIED).to(model.device)
    whole = _logits(model, rows)
    try:
        with heads.rows_only(head, rows.places):
            few = model(input_ids=rows.ids, use_cache=False).logits[0].float()
    except _FAULTS:
        return "whole"
    alike = few.shape == whole.shape and (few - whole).abs().max() <= ROUNDING[model.dtype] * whole.std()
    return "gathered" if alike else "whole"
