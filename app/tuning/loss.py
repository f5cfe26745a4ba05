"""Cross-entropy of answer tokens: the output head sees their hidden states alone, a bounded number of them at once.

The head is reached from inside the model's own forward pass, whose call stays the stepper's: copies and divided models
watch that call. Where the head is a plain linear map, loss and gradients come from one visit to each part of the
logits, which is then forgotten; where the model changes logits behind it (a soft cap, a scale), the head gets the
wanted rows; where neither holds, whole logits are made.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, linear

from app.models import heads
from app.tuning.probes import Way, inner
from app.tuning.rows import Rows

LOGITS_AT_ONCE = {"cpu": 2**24, "cuda": 2**27}
"""Logits held at once: 64 MiB in float32, and as much again while they become gradients; on a GPU 512 MiB, where a
few rows would not fill its units and each part reads the whole head."""


class Loss(NamedTuple):
    """Of some rows."""

    total: torch.Tensor
    """To go backward from: each answer token's cross-entropy times its share, summed."""
    each: torch.Tensor
    """Cross-entropy of each answer token, in nats, in the order of their places; without a gradient."""


def shared(called: nn.Module, rows: Rows, shares: torch.Tensor, how: Way, at_once: int | None = None) -> Loss:
    """The loss of `rows`, whose answer tokens count by `shares`; `called` is the model as its stepper calls it.

    `at_once` bounds the logits held, where the head is a plain linear map; left out: `LOGITS_AT_ONCE`.
    """
    at_once = LOGITS_AT_ONCE[rows.ids.device.type] if at_once is None else at_once
    head = heads.head(inner(called))
    if how == "whole" or head is None:
        return _shared(_output(called, rows).flatten(0, 1)[rows.places], rows.labels, shares)
    if how == "gathered":
        with heads.rows_only(head, rows.places):
            return _shared(_output(called, rows)[0], rows.labels, shares)
    each = torch.empty(len(rows.labels), device=rows.labels.device)

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        """The total in the shape of logits, as the model expects some: (1, 1, 1)."""
        linear = cast(nn.Linear, head)
        wanted = hidden.flatten(0, 1)[rows.places]
        total = _Fused.apply(wanted, linear.weight, linear.bias, rows.labels, shares, each, at_once)
        return cast(torch.Tensor, total).view(1, 1, 1)

    with _instead(head, forward):
        return Loss(_output(called, rows).sum(), each)


class _Fused(torch.autograd.Function):
    """Weighted sum of cross-entropies of `linear(hidden, weight, bias)`; its gradients are made on the way forward.

    `each` is filled with the cross-entropies.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        labels: torch.Tensor,
        shares: torch.Tensor,
        each: torch.Tensor,
        at_once: int,
    ) -> torch.Tensor:
        wanted = ctx.needs_input_grad[:3]
        into_hidden = torch.zeros_like(hidden) if wanted[0] else None
        into_weight = torch.zeros_like(weight) if wanted[1] else None
        into_bias = torch.zeros_like(bias) if bias is not None and wanted[2] else None
        count = max(1, at_once // weight.shape[0])
        for start in range(0, len(hidden), count):
            span = slice(start, start + count)
            part, answer = hidden[span], labels[span, None]
            logits = linear(part, weight, bias)
            dtype, logits = logits.dtype, logits.float()
            norm = logits.logsumexp(-1, keepdim=True)
            each[span] = (norm - logits.gather(1, answer))[:, 0]
            if not any(wanted):
                continue
            # Softmax less one at the answer.
            error = logits.sub_(norm).exp_().scatter_add_(1, answer, -torch.ones_like(norm))
            error = error.mul_(shares[span, None]).to(dtype)
            if into_hidden is not None:
                into_hidden[span] = error @ weight
            if into_weight is not None:
                into_weight += error.T @ part
            if into_bias is not None:
                into_bias += error.sum(0)
        ctx.save_for_backward(into_hidden, into_weight, into_bias)
        return (each * shares).sum()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's stub names it otherwise
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        (factor,) = gradients
        return (*(None if x is None else x * factor for x in ctx.saved_tensors), None, None, None, None)


def _shared(logits: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor) -> Loss:
    each = cross_entropy(logits.float(), labels, reduction="none")
    return Loss((each * shares).sum(), each.detach())


def _output(called: nn.Module, rows: Rows) -> torch.Tensor:
    """What stands where the model puts its logits."""
    return called(input_ids=rows.ids, use_cache=False, **rows.told()).logits


@contextmanager
def _instead(head: nn.Module, forward: Callable[[torch.Tensor], torch.Tensor]) -> Generator[None]:
    """Let the head compute something else; whoever watches its calls, as DeepSpeed does, goes on watching."""
    head.forward = forward
    try:
        yield
    finally:
        del head.forward
