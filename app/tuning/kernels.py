"""Faster code for a model's layers: torch.compile, where a GPU and enough steps make it pay.

Whether it is tried follows from the device and the number of steps, never from a clock, so that a run repeated or
resumed on like hardware computes alike. Compiled layers must give the logits and gradients that they gave before; what
fails or differs is left as it was, and the record says why. On a CPU, compiling takes longer than tuning the models
that are tuned there. Liger's kernels are not used: applied to one model they change its classes for the whole process,
and what they fuse beside the loss (norms, gates, rotations) the compiler fuses too.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from app.models.prefix import ROUNDING
from app.tuning.encoding import Encoded
from app.tuning.probes import inner
from app.tuning.rows import Rows, padded

ENOUGH = 200
"""Steps from which on compiling, about a minute, pays on a GPU."""
_TRIED = (Encoded((5, 6, 7, 8, 9, 10, 11, 2), 3), Encoded((1, 2, 3, 4, 5), 2))


def quicken(model: nn.Module, steps: int) -> str:
    """Compile the layers of `model`, bare or under adapters, where that pays; for the record: what came of it."""
    if inner(model).device.type != "cuda":
        return "no: on a CPU it does not pay"
    if steps < ENOUGH:
        return f"no: {steps} steps do not pay for it"
    return compiled(model)


def compiled(model: nn.Module) -> str:
    """Compile the layers of `model` in place: "yes", or why they were left as they were."""
    bare = inner(model)
    if bare.is_gradient_checkpointing:
        return "no: activations are computed again"
    layers = _layers(bare)
    if not layers:
        return "no: it has no list of like layers"
    trains = model.training
    model.eval()  # dropout would make any two passes differ
    rows = padded(_TRIED).to(bare.device)
    try:
        expected = _tried(model, rows)
        for layer in layers:
            layer.compile(dynamic=True)
        return _settled(layers, _differ(expected, _tried(model, rows), ROUNDING[bare.dtype]))
    except Exception as fault:  # the compiler, its back ends and the tool chain below them each have their own
        first = next(iter(str(fault).strip().splitlines()), "")
        return _settled(layers, f"no: {type(fault).__name__}: {first[:200]}")
    finally:
        model.train(trains)


def _layers(model: PreTrainedModel) -> list[nn.Module]:
    """The longest list of modules of one class."""
    lists = [list(cast(Iterable[nn.Module], part)) for part in model.modules() if isinstance(part, nn.ModuleList)]
    return max((found for found in lists if len({type(one) for one in found}) == 1), key=len, default=[])


def _tried(model: nn.Module, rows: Rows) -> list[torch.Tensor]:
    """Logits, and the gradients of their mean square; the model's own gradients stay as they were."""
    logits = model(input_ids=rows.ids, use_cache=False).logits
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(logits.float().square().mean(), weights, allow_unused=True)
    gradients = cast(tuple[torch.Tensor | None, ...], found)
    return [logits.detach(), *(gradient for gradient in gradients if gradient is not None)]


def _differ(expected: list[torch.Tensor], found: list[torch.Tensor], allowed: float) -> str:
    """What is wrong with what compiled layers gave, or ""."""
    for before, after in zip(expected, found, strict=True):
        if not (after - before).abs().max() <= allowed * before.abs().max():
            return "no: compiled layers give other numbers"
    return ""


def _settled(layers: list[nn.Module], fault: str) -> str:
    """The outcome; after a fault layers run as they did before."""
    if fault:
        for layer in layers:
            cast(Any, layer)._compiled_call_impl = None  # torch has no public way back
    return fault or "yes"
