"""Axes that rows teach: drawn once for all metrics that need them."""

import numpy as np

from analysis.estimates import leading_axes
from analysis.estimates.leading_axes import LearnedAxes, learned_axes
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra


def spectra_of(rows: np.ndarray) -> Spectra:
    return Spectra([Moments.from_rows(part) for part in np.array_split(rows, 8)])


def test_axes_are_drawn_once_for_each_centring_and_for_each_rows(monkeypatch) -> None:
    drawn = []
    plain = LearnedAxes.of

    def count(*arguments: object) -> LearnedAxes:
        drawn.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(leading_axes.LearnedAxes, "of", count)
    rng = np.random.default_rng(0)
    first, second = (spectra_of(rng.standard_normal((80, 12)) + 1) for _ in range(2))
    kept = [learned_axes(first, centred) for centred in (True, False, True)]
    assert kept[0] is kept[2] and kept[0] is not kept[1]
    assert LearnedAxes.of_rows(first, True) is kept[0][0]
    assert len(drawn) == 2
    other = learned_axes(second, True)
    assert len(drawn) == 3 and (other[0].shares != kept[0][0].shares).any()
