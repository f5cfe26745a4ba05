"""LoRA layers in fewer visits to memory: on a GPU it is these visits, not arithmetic, that adapters cost.

peft adds an adapter to a frozen layer's output by a chain of operations that each read and write the whole of it, in
float32 where the adapter is held so. Here the matrix products add in place, in the layer's own precision; the adapter's
weights and gradients stay as they are held.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.nn.functional import linear


class _Quick(LoraLinear):
    """What a layer's class is exchanged for: another class, not another method, so that torch.compile sees one code
    object for all layers."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args or kwargs or self.disable_adapters or self.merged:
            return super().forward(x, *args, **kwargs)
        (name,) = self.active_adapters
        base = cast(nn.Linear, self.base_layer)
        down, up = cast(nn.Linear, self.lora_A[name]), cast(nn.Linear, self.lora_B[name])
        return cast(torch.Tensor, _Product.apply(x, base.weight, base.bias, down.weight, up.weight, self.scaling[name]))


class _Product(torch.autograd.Function):
    """A frozen linear layer plus scale * up @ down of what it is given; gradients of the input, `down` and `up`."""

    @staticmethod
    def forward(
        ctx: Any,
        given: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        dtype = weight.dtype
        with torch.autocast(given.device.type, enabled=False):
            flat, inner, outer = given.reshape(-1, given.shape[-1]).to(dtype), down.to(dtype), up.to(dtype)
            inside = (flat @ inner.T) * scale
            out = linear(flat, weight, bias).addmm_(inside, outer.T)
        ctx.save_for_backward(flat, inside, weight, inner, outer)
        ctx.scale, ctx.shape, ctx.dtypes = scale, given.shape, (given.dtype, down.dtype, up.dtype)
        return out.view(*given.shape[:-1], out.shape[-1])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's stub names it otherwise
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        flat, inside, weight, inner, outer = cast(tuple[torch.Tensor, ...], ctx.saved_tensors)
        of_given, of_down, of_up = cast(tuple[torch.dtype, ...], ctx.dtypes)
        (error,) = gradients
        errors = error.reshape(-1, error.shape[-1])
        back = (errors @ outer) * ctx.scale
        into = None
        if ctx.needs_input_grad[0]:
            into = (errors @ weight).addmm_(back, inner).view(ctx.shape).to(of_given)
        return into, None, None, (back.T @ flat).to(of_down), (errors.T @ inside).to(of_up), None


def fit(model: nn.Module) -> list[LoraLinear]:
    """The LoRA layers of `model` that can compute so."""
    return [module for module in model.modules() if type(module) is LoraLinear and _plain(module)]


def quick(layers: Sequence[LoraLinear]) -> None:
    """Let layers that `fit` found compute so."""
    for layer in layers:
        layer.__class__ = _Quick


def slow(layers: Sequence[LoraLinear]) -> None:
    """Take `quick` back."""
    for layer in layers:
        layer.__class__ = LoraLinear


def _plain(layer: LoraLinear) -> bool:
    """One adapter in force, without dropout or a variant, on a frozen linear layer in one floating precision."""
    base, names = layer.base_layer, layer.active_adapters
    if type(base) is not nn.Linear or "forward" in vars(layer) or layer.merged or len(names) != 1:
        return False
    (name,) = names
    frozen = not any(parameter.requires_grad for parameter in base.parameters())
    known = name in layer.lora_A and name not in layer.lora_variant
    bare = known and "bias" not in dict(layer.lora_B[name].named_parameters())
    return frozen and bare and isinstance(layer.lora_dropout[name], nn.Identity)
