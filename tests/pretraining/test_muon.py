"""Muon: what one step does to a matrix."""

import torch

from app.pretraining.muon import MOMENTUM, Muon, orthogonal


def matrix(rows: int, columns: int, seed: int = 0) -> torch.nn.Parameter:
    made = torch.nn.Parameter(torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)))
    made.grad = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed + 1))
    return made


def test_singular_values_come_closer_to_one_another() -> None:
    raw = torch.randn(3, 16, 24, generator=torch.Generator().manual_seed(0))
    before, after = torch.linalg.svdvals(raw), torch.linalg.svdvals(orthogonal(raw))
    assert (after[:, 0] / after[:, -1] < before[:, 0] / before[:, -1]).all()
    assert after.max() < 1.5


def test_a_batch_of_matrices_moves_like_each_one_alone() -> None:
    together, alone = [matrix(16, 24, s) for s in (0, 2)], [matrix(16, 24, s) for s in (0, 2)]
    Muon(together).step(0.1, 0.01)
    for one in alone:
        Muon([one]).step(0.1, 0.01)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(together, alone, strict=True))


def test_a_transposed_matrix_takes_the_transposed_step() -> None:
    tall, wide = matrix(24, 16), matrix(24, 16)
    assert wide.grad is not None
    turned = torch.nn.Parameter(wide.detach().T.clone())
    turned.grad = wide.grad.T.clone()
    Muon([tall]).step(0.1, 0.0)
    Muon([turned]).step(0.1, 0.0)
    assert torch.allclose(tall, turned.T, atol=1e-6)


def test_a_restored_state_goes_on_with_the_same_steps() -> None:
    one, other = matrix(16, 16), matrix(16, 16)
    first = Muon([one])
    first.step(0.1, 0.0)
    with torch.no_grad():
        other.copy_(one)
    second = Muon([other])
    second.restore(first.state())
    first.step(0.1, 0.0)
    second.step(0.1, 0.0)
    assert 0 < MOMENTUM < 1
    assert torch.equal(one, other)
