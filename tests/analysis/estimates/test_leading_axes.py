"""Axes that rows teach: drawn once for all metrics that need them."""

import numpy as np
import pytest

from analysis.estimates import leading_axes
from analysis.estimates.leading_axes import LearnedAxes, learned_axes
from analysis.metric import METRICS
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra
from analysis.rows.summary import GroupSummary, Reservoir, Sample


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


D, ROWS, LEAD = 64, 96.0, 10


def drawn(shares: np.ndarray) -> LearnedAxes:
    return LearnedAxes.of(shares / shares.sum(), ROWS, LEAD)


def noisy(seen: np.ndarray, groups: int = 20, error: float = 0.1) -> list[np.ndarray]:
    """Return what jackknife samples of energies with a relative error look like."""
    rng = np.random.default_rng(1)
    return [
        seen * (1 + error * rng.standard_normal(len(seen)) / groups**0.5) for _ in range(groups)
    ]


def test_axes_that_differ_beyond_what_is_expected_are_let_differ() -> None:
    ratios = np.r_[0.35, np.full(D - 1, 40.0)]
    shares = np.r_[500.0, np.arange(2.0, D + 1) ** -1.0]
    axes = drawn(shares)
    condition = axes.shares * ratios / (axes.shares @ ratios)
    seen = axes.overlaps @ condition
    truth = float(condition[:LEAD].sum())
    apart = axes.find_apart(seen, noisy(seen))
    assert apart > leading_axes.ALIKE
    assert axes.leading_share(seen)[1] < 0.8 * truth
    assert axes.leading_share(seen, apart)[1] == pytest.approx(truth, rel=0.05)


def test_axes_that_differ_as_is_expected_are_held_together() -> None:
    axes = drawn(np.arange(1.0, D + 1) ** -1.0)
    condition = axes.shares * np.linspace(1.3, 0.8, D)
    seen = axes.overlaps @ (condition / condition.sum())
    assert axes.find_apart(seen, noisy(seen)) == leading_axes.ALIKE


@pytest.mark.parametrize(("beside", "end"), [(slice(D // 2, None), 0), (slice(LEAD, 2 * LEAD), 1)])
def test_energy_beside_the_leading_directions_may_be_far_or_near(beside: slice, end: int) -> None:
    axes = drawn(np.arange(1.0, D + 1) ** -1.0)
    condition = axes.shares * np.where(np.arange(D) < 3, 0.1, 1.0)
    condition[beside] *= (1 - condition.sum()) / condition[beside].sum() + 1
    seen, truth = axes.overlaps @ condition, float(condition[:LEAD].sum())
    even = axes.leading_share(seen)[1]
    ends = axes.shares_if_uneven(seen, leading_axes.ALIKE)
    assert abs(even - truth) > 0.02
    assert min(even, ends[end]) - 0.01 < truth < max(even, ends[end]) + 0.01


def test_a_mean_far_longer_than_the_rows_scatter_hides_no_share() -> None:
    held = 0
    spread = np.arange(1.0, D + 1) ** -0.5
    mean = 10 * spread
    turned = np.where(np.arange(D) % 2, mean, -mean) * 0.56 + 0.42 * mean
    moments = [np.diag(spread**2) + np.outer(m, m) for m in (mean, turned)]
    axes = np.linalg.eigh(moments[0])[1][:, -LEAD:]
    truth = np.trace(axes.T @ moments[1] @ axes) / np.trace(moments[1])
    for draw in range(4):
        rng = np.random.default_rng(draw)
        plain, other = (
            sample_of(rng.standard_normal((192, D)) * spread + m) for m in (mean, turned)
        )
        values = METRICS.find("captured_energy").measure(other, plain)
        value = next(v for v in values if (v.metric, v.centred) == ("captured_energy", False))
        assert value.low is not None and value.high is not None
        held += value.low <= truth <= value.high
    assert held >= 3


def sample_of(rows: np.ndarray) -> Sample:
    parts = np.array_split(np.arange(len(rows)), 20)
    lengths = np.ones(len(rows))
    return Sample(
        groups={
            number: GroupSummary.from_rows(rows[own], lengths[own], own, moments=True)
            for number, own in enumerate(parts)
        },
        reservoir=Reservoir(
            rows=rows.astype(np.float32),
            prompts=np.arange(len(rows)),
            groups=np.repeat(np.arange(20), [len(part) for part in parts]),
            base=None,
        ),
    )
