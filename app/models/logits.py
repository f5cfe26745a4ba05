"""Logits at chosen places of a batch, by the cheapest way that gives the model's own."""

import weakref
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import nn
from transformers import PreTrainedModel

from app.models import heads
from app.models.budget import Room
from app.models.prefix import ROUNDING

Head = Literal["plain", "gathered", "whole"]
"""Logits are made of chosen places by the head itself, by the model, or of all places by the model."""

_AT_ONCE = {"cpu": 2**25, "cuda": 2**27}
"""Logits held at once: 128 MiB in float32; on a GPU 512 MiB, since each part reads the whole head and is waited for."""

_gathering: weakref.WeakKeyDictionary[nn.Module, bool] = weakref.WeakKeyDictionary()


def rows_at_once(model: PreTrainedModel) -> int:
    """Logit rows to ask for at once, so that a large vocabulary never fills the memory."""
    return max(1, _AT_ONCE[model.device.type] // model.config.get_text_config().vocab_size)


def head(model: PreTrainedModel) -> Head:
    """The cheapest way to the model's own logits; kept for its life."""
    if heads.plain(model):
        return "plain"
    return "gathered" if _gathers(model) else "whole"


def bounded(model: PreTrainedModel, room: Room) -> Room:
    """`room`, with no more tokens at once than logits where the model makes those of all tokens."""
    return room._replace(tokens=min(room.tokens, rows_at_once(model))) if head(model) == "whole" else room


def logits(model: PreTrainedModel, given: Mapping[str, object], places: torch.Tensor) -> Iterator[torch.Tensor]:
    """Logits at `places` of the flattened batch that `given` describes, in order and a part at a time.

    Parts have the shape (rows, vocabulary). A plain head makes each when it is asked for, any other all at once.
    """
    last, way = heads.head(model), head(model)
    if last is not None and way == "plain":
        hidden = model.base_model(**given)[0].flatten(0, 1)[places]
        for part in hidden.split(rows_at_once(model)):
            yield last(part)
    elif last is not None and way == "gathered":
        with heads.rows_only(last, places):
            yield model(**given).logits[0]
    else:
        yield model(**given).logits.flatten(0, 1)[places]


def _gathers(model: PreTrainedModel) -> bool:
    """Whether the head may be given some hidden states alone, tried on a few tokens."""
    last = heads.head(model)
    if last is None:
        return False
    if model not in _gathering:
        ids = torch.tensor([[5, 6, 7], [8, 9, 3]], device=model.device)
        places = torch.tensor([1, 2, 5], device=model.device)
        given = {"input_ids": ids, "use_cache": False}
        if model.config.is_encoder_decoder:
            given["decoder_input_ids"] = ids
        with torch.inference_mode():
            whole = model(**given).logits.flatten(0, 1)[places].float()
            try:
                with heads.rows_only(last, places):
                    few = model(**given).logits[0].float()
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
                few = whole[:0]  # a head that is given something else
        alike = few.shape == whole.shape and (few - whole).abs().max() <= ROUNDING[model.dtype] * whole.std()
        _gathering[model] = bool(alike)
    return _gathering[model]
