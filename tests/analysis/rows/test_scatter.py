"""Scatter: both forms give the same traces, energies and inner products."""

import numpy as np
import pytest

from analysis.rows.scatter import COLUMNS, Scatter, inner_products, products_and_sum


def factor(seed: int, num_rows: int, dimension: int = 7) -> Scatter:
    rows = np.random.default_rng(seed).standard_normal((num_rows, dimension))
    return Scatter(values=rows, factored=True)


def dense(scatter: Scatter) -> Scatter:
    return Scatter(values=scatter.dense(), factored=False)


def test_energy_trace_and_inner_do_not_depend_on_the_form() -> None:
    first, second = factor(0, 3), factor(1, 5)
    axes = np.random.default_rng(2).standard_normal((7, 2))
    np.testing.assert_allclose(first.energy(axes), np.diag(axes.T @ first.dense() @ axes))
    np.testing.assert_allclose(dense(first).energy(axes), first.energy(axes))
    assert first.trace() == pytest.approx(dense(first).trace())
    expected = np.trace(first.dense() @ second.dense())
    for left in (first, dense(first)):
        for right in (second, dense(second)):
            assert left.inner(right) == pytest.approx(expected)


@pytest.mark.parametrize("lengths", [(3, 5, 2), (3, 0, 2)])
def test_inner_products_of_many_are_those_of_each_pair(lengths: tuple[int, ...]) -> None:
    factors = [factor(seed, length) for seed, length in enumerate(lengths)]
    expected = [[a.inner(b) for b in factors] for a in factors]
    np.testing.assert_allclose(inner_products(factors), expected)
    np.testing.assert_allclose(inner_products([dense(f) for f in factors]), expected)
    np.testing.assert_allclose(inner_products([dense(factors[0]), *factors[1:]]), expected)


@pytest.mark.parametrize("dimension", [7, COLUMNS + 3])
def test_products_and_the_sum_together_are_those_of_each(dimension: int) -> None:
    factors = [factor(seed, length, dimension) for seed, length in enumerate((30, 4, 9))]
    expected = sum(f.dense() for f in factors)
    for scatters in (factors, [dense(factors[0]), *factors[1:]]):
        products, lower = products_and_sum(scatters)
        np.testing.assert_allclose(products, inner_products(factors))
        np.testing.assert_allclose(np.tril(lower), np.tril(expected), atol=1e-12)
