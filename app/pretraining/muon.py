"""Muon: an optimiser for the weight matrices inside a model, which learns in half the tokens that AdamW needs here.

Each step makes the averaged gradient of a matrix nearly orthogonal, so that all directions learn equally fast.
Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). Matrices of one shape
are treated as one batch: for models this small the library's own version spends its time on single calls.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
NEWTON_SCHULZ_STEPS = 3
"""Three instead of the usual five lose nothing at these sizes."""
_A, _B, _C = 3.4445, -4.7750, 2.0315  # coefficients of the quintic iteration, from the source


def orthogonal(matrices: Tensor) -> Tensor:
    """`matrices` [count, rows, columns], rows <= columns, with singular values moved towards 1."""
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x


class Muon:
    """Momentum and update of some matrices. Shapes that differ only by transposition share a batch."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter]) -> None:
        self._groups: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
        for matrix in matrices:
            self._groups.setdefault(tuple(sorted(matrix.shape)), []).append(matrix)
        self._momenta = [torch.zeros(len(group), *shape) for shape, group in self._groups.items()]

    @torch.no_grad()
    def step(self, rate: float, weight_decay: float) -> None:
        """Move every matrix by `rate` times its orthogonalised gradient."""
        for (shape, group), momentum in zip(self._groups.items(), self._momenta, strict=True):
            gradient = torch.stack([_oriented(_gradient(matrix), shape) for matrix in group])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonal(gradient.lerp_(momentum, MOMENTUM))
            scale = (shape[1] / shape[0]) ** 0.5
            for matrix, change in zip(group, update.unbind(), strict=True):
                matrix.mul_(1 - rate * weight_decay).add_(_oriented(change, tuple(matrix.shape)), alpha=-rate * scale)

    def state(self) -> list[Tensor]:
        """What `restore` needs to go on from here."""
        return self._momenta

    def restore(self, state: list[Tensor]) -> None:
        """Go on from a `state` of the same matrices."""
        for momentum, saved in zip(self._momenta, state, strict=True):
            momentum.copy_(saved)


def _gradient(matrix: torch.nn.Parameter) -> Tensor:
    if matrix.grad is None:
        raise ValueError("a matrix has no gradient: call backward before step")
    return matrix.grad


def _oriented(matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    return matrix if tuple(matrix.shape) == shape else matrix.T
