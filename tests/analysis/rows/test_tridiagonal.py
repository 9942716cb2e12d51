"""Tridiagonal: one reduction gives the spectra of A and of A + m m^T."""

import numpy as np
import pytest

from analysis.rows.tridiagonal import LARGE, Tridiagonal


def form_of(seed: int, size: int) -> tuple[Tridiagonal, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((2 * size, size)) / np.arange(1, size + 1)
    matrix, direction = rows.T @ rows, rng.standard_normal(size)
    return Tridiagonal.of(np.array(matrix, order="F"), direction), matrix, direction


@pytest.mark.parametrize("size", [1, 2, 3, 30, LARGE + 4])
@pytest.mark.parametrize("with_direction", [False, True])
def test_both_spectra_are_numpys(size: int, with_direction: bool) -> None:
    form, matrix, direction = form_of(0, size)
    values, vectors = np.linalg.eigh(matrix + np.outer(direction, direction) * with_direction)
    np.testing.assert_allclose(form.eigenvalues(with_direction), values[::-1], rtol=1e-9)
    axes = form.axes(with_direction, min(3, size))
    expected = vectors[:, ::-1][:, : min(3, size)]
    np.testing.assert_allclose(np.abs(axes.T @ expected), np.eye(min(3, size)), atol=1e-9)


def test_only_the_lower_half_is_read() -> None:
    _, matrix, direction = form_of(1, 12)
    half = Tridiagonal.of(np.array(np.tril(matrix), order="F"), direction)
    expected = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(half.eigenvalues(False), expected, rtol=1e-11)


def test_the_first_row_and_column_can_be_left_off() -> None:
    _, matrix, _ = form_of(2, 9)
    part = Tridiagonal.of(np.array(matrix, order="F"), None).without_first()
    expected = np.linalg.eigvalsh(matrix[1:, 1:])[::-1]
    np.testing.assert_allclose(part.eigenvalues(False), expected, rtol=1e-11)
    assert np.abs(part.axes(False, 2)[0]).max() == 0


def test_equal_eigenvalues_still_give_orthonormal_axes() -> None:
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((20, 20)))[0]
    matrix = turn @ np.diag([5.0] * 6 + [1.0] * 14) @ turn.T
    axes = Tridiagonal.of(np.array(matrix, order="F"), np.ones(20)).axes(False, 6)
    np.testing.assert_allclose(axes.T @ axes, np.eye(6), atol=1e-9)
    np.testing.assert_allclose(axes @ axes.T, turn[:, :6] @ turn[:, :6].T, atol=1e-9)
