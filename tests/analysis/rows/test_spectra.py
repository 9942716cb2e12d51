"""Spectra: leaving a group out equals starting again without it, by Gram or by covariance."""

import numpy as np
import pytest

from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra


def groups_of(lengths: list[int], dimension: int, offset: float = 3.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    scale = 1 / np.arange(1, dimension + 1)
    return [rng.standard_normal((n, dimension)) * scale + offset * scale for n in lengths]


DIMENSIONS = pytest.mark.parametrize("dimension", [6, 40])
"""With 40 there are fewer rows than d, so the Gram is used."""
CENTRED = pytest.mark.parametrize("centred", [False, True])


def parts_with_spectra(dimension: int) -> tuple[list[np.ndarray], Spectra]:
    parts = groups_of([5, 1, 8, 7], dimension)
    return parts, Spectra([Moments.from_rows(part) for part in parts])


def scatter_of(parts: list[np.ndarray], centred: bool) -> np.ndarray:
    rows = np.concatenate(parts)
    rows = rows - rows.mean(axis=0) if centred else rows
    return rows.T @ rows


@DIMENSIONS
@CENTRED
def test_eigenvalues_without_a_group_are_those_of_the_other_rows(
    dimension: int, centred: bool
) -> None:
    parts, spectra = parts_with_spectra(dimension)
    for without in (None, 0, 1, 3):
        kept = [part for number, part in enumerate(parts) if number != without]
        expected = np.linalg.eigvalsh(scatter_of(kept, centred))[::-1]
        found = spectra.of(centred, without).eigenvalues
        np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-9, atol=1e-12)
        rank = min(dimension, sum(map(len, kept)) - centred)
        assert len(found) == rank


@DIMENSIONS
@CENTRED
def test_axes_are_orthonormal_and_span_the_leading_eigenvectors(
    dimension: int, centred: bool
) -> None:
    parts, spectra = parts_with_spectra(dimension)
    for without in (None, 2):
        kept = [part for number, part in enumerate(parts) if number != without]
        axes = spectra.of(centred, without).axes[:, :3]
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
        expected = np.linalg.eigh(scatter_of(kept, centred))[1][:, ::-1][:, :3]
        np.testing.assert_allclose(axes @ axes.T, expected @ expected.T, atol=1e-9)


def test_no_more_axes_than_the_rows_span() -> None:
    parts = groups_of([1, 1, 1], 40)
    moments = [Moments.from_rows(part) for part in parts]
    assert Spectra(moments).of(centred=False).axes.shape == (40, 3)
    assert Spectra(moments).of(centred=True).axes.shape == (40, 2)
    assert Spectra(moments[:1]).of(False, without=0).axes.shape == (40, 0)


def test_a_large_common_mean_does_not_disturb_the_centred_spectrum() -> None:
    small, large = groups_of([5, 6, 7], 8, offset=0.0), groups_of([5, 6, 7], 8, offset=1e6)
    spectra = [Spectra([Moments.from_rows(part) for part in parts]) for parts in (small, large)]
    np.testing.assert_allclose(
        spectra[0].of(True, without=1).eigenvalues,
        spectra[1].of(True, without=1).eigenvalues,
        rtol=1e-6,
    )


@pytest.mark.parametrize("dimension", [30, 400])
@pytest.mark.parametrize("centred", [False, True])
def test_axes_that_only_rounding_filled_are_not_there(dimension: int, centred: bool) -> None:
    rng = np.random.default_rng(6)
    base = 400 * rng.standard_normal((200, dimension)).astype(np.float32)
    moved = base + (rng.standard_normal((200, 3)) @ rng.standard_normal((3, dimension)) + 1).astype(
        np.float32
    )
    rows = moved - base  # exact, but of two rounded numbers
    moments = [Moments.from_rows(part) for part in np.split(rows, 10)]
    rounding = 2.0**-42 * np.square(base, dtype=np.float64).mean(axis=0)
    rounding[0] *= 1e8  # a massive coordinate does not hide the others
    rank = 4 - centred
    for without in (None, 2):
        assert len(Spectra(moments).of(centred, without).eigenvalues) > rank
        spectrum = Spectra(moments, rounding=rounding).of(centred, without)
        assert (len(spectrum.eigenvalues), spectrum.axes.shape) == (rank, (dimension, rank))
