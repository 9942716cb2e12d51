"""Degrees of freedom: the algebra of leaving groups out against doing it, and planted truth."""

from collections.abc import Callable

import numpy as np
import pytest

import analysis.rows.spectra as spectra_room
from analysis.rows.freedom import NUM_RIDGES, FreedomCurves, choose_ridges
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra

CENTRED = pytest.mark.parametrize("centred", [False, True])


def spectra_of(rows: np.ndarray, groups: np.ndarray) -> Spectra:
    return Spectra([Moments.from_rows(rows[groups == g]) for g in np.unique(groups)])


def curves_of(rows: np.ndarray, groups: np.ndarray, centred: bool) -> FreedomCurves:
    curves = spectra_of(rows, groups)._find_freedom(centred)
    assert curves is not None
    return curves


def by_hand(
    rows: np.ndarray, groups: np.ndarray, centred: bool, without: int | None
) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Degrees of freedom and v over the ridge, each fold decomposed anew."""
    numbers = [g for g in np.unique(groups) if g != without]
    kept = np.isin(groups, numbers)

    def parts(ridge: float) -> tuple[float, float]:
        freedom, energy = [], 0.0
        for group in numbers:
            learned = rows[kept & (groups != group)]
            mean = learned.mean(axis=0) * centred
            scatter = (learned - mean).T @ (learned - mean)
            resolvent = np.linalg.inv(scatter + ridge * np.eye(rows.shape[1]))
            freedom.append(np.trace(scatter @ resolvent))
            own = rows[groups == group] - mean
            energy += np.einsum("id,de,ie", own, resolvent, own) / (1 + centred / len(learned))
        return float(np.mean(freedom)), energy / kept.sum()

    return lambda z: parts(z)[0], lambda z: parts(z)[0] / (z * parts(z)[1])


@CENTRED
@pytest.mark.parametrize("without", [None, 2])
def test_every_fold_is_as_if_decomposed_anew(centred: bool, without: int | None) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((33, 30)) / np.sqrt(np.arange(1, 31)) + 0.3
    groups = rng.integers(0, 6, 33)
    curves = curves_of(rows, groups, centred)
    curve = curves.whole if without is None else curves.left_out[without]
    freedom, scale = by_hand(rows, groups, centred, without)
    about = rows - rows.mean(axis=0) * centred
    grouped = spectra_of(rows, groups)._grouped_rows(centred)
    ridges = choose_ridges(grouped.eigenvalues, float(33 - np.bincount(groups).max() - centred))
    assert ridges[0] == pytest.approx(10 * np.linalg.norm(about, 2) ** 2)
    for place in (0, 5, NUM_RIDGES - 1):
        assert curve.freedom[place] == pytest.approx(freedom(ridges[place]), rel=1e-7)
        assert curve.scales[place] == pytest.approx(scale(ridges[place]), rel=1e-7)


def planted(kind: str, num_rows: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    eigenvalues = np.arange(1, d + 1.0) ** -0.7
    rows = rng.standard_normal((num_rows, d))
    groups = np.arange(num_rows) % 20
    if kind == "prompts":  # four rows that share half of their variance
        groups = np.arange(num_rows) // 4 % 20
        shared = rng.standard_normal((num_rows // 4, d)).repeat(4, axis=0)
        rows = np.sqrt(0.5) * (rows + shared)
    if kind == "lengths":
        rows *= np.sqrt(4 / rng.chisquare(6, num_rows))[:, None]
    return rows * np.sqrt(eigenvalues), groups, eigenvalues


@pytest.mark.parametrize("kind", ["independent", "prompts", "lengths"])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_the_curve_is_the_populations_whatever_rows_share(kind: str, ratio: float) -> None:
    rows, groups, eigenvalues = planted(kind, int(200 * ratio), 200)
    curve = curves_of(rows, groups, True).whole
    scales = curve.scales * curve.trace / eigenvalues.sum()
    truth = [(eigenvalues * v / (1 + eigenvalues * v)).sum() for v in scales]
    assert np.abs(curve.freedom / truth - 1).max() < 0.05


@CENTRED
def test_many_rows_are_followed_to_the_same_curve(
    centred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, groups, _ = planted("prompts", 160, 80)
    followed = curves_of(rows + 0.1, groups, centred)
    monkeypatch.setattr(spectra_room, "EXACT_RATIO", 10.0)
    exact = curves_of(rows + 0.1, groups, centred)
    for one, other in ((followed.whole, exact.whole), (followed.left_out[3], exact.left_out[3])):
        at = np.log(np.geomspace(other.scales[1], other.scales[-2], 5))
        read = [np.interp(at, np.log(c.scales), np.log(c.freedom)) for c in (one, other)]
        assert read[0] == pytest.approx(read[1], abs=0.03)


def test_groups_kept_as_matrices_are_followed_too() -> None:
    rows, groups, eigenvalues = planted("prompts", 960, 12)
    curve = curves_of(rows, groups, True).whole
    truth = [(eigenvalues * v / (1 + eigenvalues * v)).sum() for v in curve.scales]
    assert np.abs(curve.freedom / truth - 1).max() < 0.1
    assert len(curves_of(rows, groups, True).left_out) == 20
