"""Differences of matrices as two thin ones: where they hold, and where that is refused."""

import pytest
import torch

from jobs.models.weight_difference import add_product
from jobs.training.snapshots.low_rank import OF_DIFFERENCE, OF_WEIGHTS, ROUNDING, factors_of


def matrices(rank, size=(96, 160), scale=1e-2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    before = torch.randn(*size, generator=generator) * 0.02
    left = torch.randn(size[0], rank, generator=generator, dtype=torch.float64)
    right = torch.randn(rank, size[1], generator=generator, dtype=torch.float64)
    change = left @ right
    change *= scale * before.double().norm() / change.norm()
    return before, (before.double() + change).float()


@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize("scale", [1e-1, 1e-3, 1e-5])
def test_a_difference_of_low_rank_is_held_within_the_stated_error(rank, scale):
    before, after = matrices(rank, scale=scale)
    factors = factors_of(before, after)
    assert factors is not None and factors.left.shape[1] <= rank
    together = add_product(before, factors.left, factors.right)
    norm = after.double().norm()
    error = (together.double() - after.double()).norm()
    assert error <= OF_WEIGHTS * norm
    assert error <= max(OF_DIFFERENCE * (after.double() - before.double()).norm(), ROUNDING * norm)
    assert factors.error == pytest.approx(float(error / norm))
    numbers = factors.left.numel() + factors.right.numel()
    assert numbers <= 0.1 * after.numel()


@pytest.mark.parametrize("rank", [7, 40, 96])
def test_a_difference_of_higher_rank_is_refused(rank):
    assert factors_of(*matrices(rank)) is None


def test_steps_of_signs_are_refused_however_small():
    before, _ = matrices(1)
    signs = torch.randn(before.shape, generator=torch.Generator().manual_seed(1)).sign()
    assert factors_of(before, before + 1e-6 * signs) is None


def test_a_spectrum_that_falls_is_cut_where_the_rest_is_small_enough():
    before, _ = matrices(1)
    generator = torch.Generator().manual_seed(2)
    left, right = (
        torch.linalg.qr(torch.randn(size, 12, generator=generator, dtype=torch.float64)).Q
        for size in before.shape
    )
    for fall, held in ((1e-3, True), (0.9, False)):
        change = (left * fall ** torch.arange(12.0)) @ right.T * float(before.norm()) * 1e-3
        factors = factors_of(before, (before.double() + change).float())
        assert (factors is not None) == held
    too_small = torch.randn(8, 8, generator=generator)
    assert factors_of(too_small, too_small * 1.5) is None
