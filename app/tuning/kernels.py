"""Faster code for a model's layers on a GPU: LoRA in fewer visits to memory, and torch.compile where steps make it pay.

Whether it is tried follows from the device and the number of steps, never from a clock, so that a run repeated or
resumed on like hardware computes alike. Quick layers must give the logits and gradients that they gave before; what
fails or differs is left as it was, and the record says why. On a CPU, compiling takes longer than tuning the models
that are tuned there. Liger's kernels are not used: applied to one model they change its classes for the whole process,
and what they fuse beside the loss (norms, gates, rotations) the compiler fuses too.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from app.models.prefix import ROUNDING
from app.tuning import low_rank
from app.tuning.encoding import Encoded
from app.tuning.probes import inner
from app.tuning.rows import Rows, padded

ENOUGH = 2_000
"""Steps from which on compiling pays on a GPU: about a minute and a half on an H100's host, for 47 ms of each 203 at a
billion weights; larger models pay it back sooner."""
_VARIANTS = 32
"""Of a layer's code that may be compiled: the first layer (its input needs no gradient) and the others, tried and in
training, rows that are padded and packed, one row and several. At torch's own limit, 8, the rest would run uncompiled,
and nobody be told."""
_TRIED = (Encoded((5, 6, 7, 8, 9, 10, 11, 2), 3), Encoded((1, 2, 3, 4, 5), 2))


def quicken(model: nn.Module, steps: int, half: torch.dtype | None = None) -> Mapping[str, str]:
    """Make the layers of `model`, bare or under adapters, quicker where that pays; for the record: what came of it.

    `half` is the precision that passes are made in, where it is not the weights' own.
    """
    if inner(model).device.type != "cuda":
        return {"compiled": "no: on a CPU it does not pay"}
    told = {"adapters": lean(model, half)}
    return told | {"compiled": f"no: {steps} steps do not pay for it" if steps < ENOUGH else compiled(model, half)}


def lean(model: nn.Module, half: torch.dtype | None = None) -> str:
    """Let the plain LoRA layers of `model` visit memory less: how many, or why they were left as they were."""
    layers = low_rank.fit(model)
    if not layers:
        return "no: there is no plain LoRA layer"
    fault = _changed(model, half, lambda: low_rank.quick(layers))
    if fault:
        low_rank.slow(layers)
    return fault or f"{len(layers)} layers in fewer visits to memory"


def compiled(model: nn.Module, half: torch.dtype | None = None) -> str:
    """Compile the layers of `model` in place: "yes", or why they were left as they were."""
    bare = inner(model)
    if bare.is_gradient_checkpointing:
        return "no: activations are computed again"
    layers = _layers(bare)
    if not layers:
        return "no: it has no list of like layers"

    def change() -> None:
        from torch._dynamo import config  # seconds to import, and only a GPU's tunings need it

        config.recompile_limit = max(config.recompile_limit, _VARIANTS)
        for layer in layers:
            layer.compile(dynamic=True)

    fault = _changed(model, half, change)
    if fault:
        for layer in layers:
            cast(Any, layer)._compiled_call_impl = None  # torch has no public way back
    return fault or "yes"


def _changed(model: nn.Module, half: torch.dtype | None, change: Callable[[], None]) -> str:
    """What is wrong with `model` after a change that is to leave its numbers as they are, or ""."""
    bare = inner(model)
    trains = model.training
    model.eval()  # dropout would make any two passes differ
    rows = padded(_TRIED).to(bare.device)
    try:
        with torch.autocast(bare.device.type, dtype=half, enabled=half is not None):
            expected = _tried(model, rows)
            change()
            return _differ(expected, _tried(model, rows), ROUNDING[bare.dtype])
    except Exception as fault:  # the compiler, its back ends and the tool chain below them each have their own
        first = next(iter(str(fault).strip().splitlines()), "")
        return f"no: {type(fault).__name__}: {first[:200]}"
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
    """What is wrong with what quicker layers gave, or ""."""
    for before, after in zip(expected, found, strict=True):
        if not (after - before).abs().max() <= allowed * before.abs().max():
            return "no: quicker layers give other numbers"
    return ""
