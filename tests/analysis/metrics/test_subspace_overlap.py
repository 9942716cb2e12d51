"""subspace_overlap: planted angles, scipy's angles, and nothing beyond the null for noise."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from analysis.estimates.leading_axes import LearnedAxes
from analysis.measurement import Measurement
from analysis.metric import METRICS
from analysis.metrics.subspace_overlap import Resolved
from analysis.rows.summary import Sample
from analysis.status import Status

subspace_overlap = METRICS.find("subspace_overlap")


def values_of(sample: Sample, against: Sample) -> dict[tuple[str, bool | None], Measurement]:
    found = subspace_overlap.measure(sample, against)
    return {(value.metric, value.centred): value for value in found}


def cosines_by_hand(first: np.ndarray, second: np.ndarray, centred: bool) -> np.ndarray:
    """Ascending angles of the top ten axes."""
    axes = [
        np.linalg.svd(rows - rows.mean(axis=0) * centred, full_matrices=False)[2][:10].T
        for rows in (first, second)
    ]
    return np.cos(subspace_angles(*axes))[::-1]


def test_where_rows_tell_the_axes_it_is_near_the_mean_of_scipys_squared_cosines(sample_of) -> None:
    rng = np.random.default_rng(0)
    scale = 0.6 ** np.arange(16)
    first, second = (rng.standard_normal((2, 900, 16)) + 0.5) * scale
    turn = np.linalg.qr(np.eye(16) + 0.2 * rng.standard_normal((16, 16)))[0]
    found = values_of(sample_of(first @ turn), sample_of(second))
    for centred in (False, True):
        value = found["subspace_overlap", centred]
        cosines = cosines_by_hand(first @ turn, second, centred)
        assert value.value == pytest.approx(np.square(cosines).mean(), rel=0.09)
        assert value.low <= np.square(cosines).mean() <= value.high


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_too_few_rows_to_tell_the_axes_are_refused_with_how_many_are_needed(
    sample_of, decay: float
) -> None:
    scale = np.arange(1.0, 91) ** (-decay / 2)
    rows = np.random.default_rng(9).standard_normal((2, 70, 90)) * scale
    for value in values_of(*map(sample_of, rows)).values():
        assert (value.value, value.status) == (None, Status.TOO_FEW_ROWS)
        assert "axes learned from 70 rows" in value.reason and "rows are needed" in value.reason


def test_half_as_many_rows_again_as_are_told_to_be_needed_are_enough(sample_of) -> None:
    rng, scale = np.random.default_rng(9), np.arange(1.0, 65) ** -0.5
    few = values_of(*map(sample_of, rng.standard_normal((2, 64, 64)) * scale))
    for centred in (False, True):
        reason = few["subspace_overlap", centred].reason
        needed = int(reason.split("about ")[1].split(" rows")[0].replace(",", ""))
        assert 300 < needed < 900
        rows = rng.standard_normal((2, needed + needed // 2, 64)) * scale
        assert values_of(*map(sample_of, rows))["subspace_overlap", centred].value is not None


def test_planted_angles_are_found_and_stand_above_both_bands(sample_of) -> None:
    rng = np.random.default_rng(1)
    dimension, angles = 60, np.linspace(0.1, 1.2, 10)
    first, second = np.zeros((2, 10, dimension))
    first[:, :10] = np.eye(10)
    second[:, :10], second[:, 10:20] = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    plain, other = (
        rng.standard_normal((2000, 10)) @ axes + 0.02 * rng.standard_normal((2000, dimension))
        for axes in (first, second)
    )
    base = rng.standard_normal((2000, dimension))
    found = values_of(sample_of(other, base=base), sample_of(plain, base=base))
    for centred in (False, True):
        overlap = found["subspace_overlap", centred]
        assert overlap.value == pytest.approx(np.square(np.cos(angles)).mean(), abs=0.002)
        assert overlap.value > max(overlap.null_high, overlap.base_null_high)
        assert found["subspace_overlap_first", centred].value == pytest.approx(
            np.cos(0.1), abs=0.002
        )
        last = found["subspace_overlap_last", centred].value
        assert last == pytest.approx(np.cos(1.2), abs=0.005)


def test_the_smallest_angle_loses_what_the_axes_lose_that_it_is_between() -> None:
    shares = np.array([0.5, 0.3, 0.1, 0.1])
    overlaps = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.6, 0.2, 0.2]])
    learned = LearnedAxes(shares=shares, overlaps=overlaps, num_leading=2)
    first = np.eye(4)[:, :2]
    apart = first.copy()
    apart[:, 0] = [0.5, 0.0, np.sqrt(0.75), 0.0]  # the best told axis is turned, the other is not
    resolved = Resolved.of([learned, learned], [first, apart], 100)
    assert resolved.first == pytest.approx(0.6**2)
    same = Resolved.of([learned, learned], [first[:, :1], first], 100)
    assert same.first == pytest.approx(1.0)


def test_unrelated_subspaces_lie_inside_the_random_band(sample_of) -> None:
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(5):
        rows = [rng.standard_normal((200, 10)) @ rng.standard_normal((10, 80)) for _ in range(2)]
        value = values_of(*map(sample_of, rows))["subspace_overlap", True]
        inside += value.null_low <= value.value <= value.null_high
    assert inside >= 4


def test_a_condition_overlaps_with_itself_whatever_the_scale(sample_of) -> None:
    rows = np.random.default_rng(3).standard_normal((400, 10)) @ np.eye(10, 30)
    rows += 1e-3 * np.random.default_rng(4).standard_normal((400, 30))
    for value in values_of(sample_of(1e-3 * rows), sample_of(rows)).values():
        assert (value.value, value.low, value.high) == pytest.approx((1.0, 1.0, 1.0), abs=0.01)


def test_turning_both_conditions_together_changes_nothing(sample_of) -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((2, 600, 14)) * 0.6 ** np.arange(14)
    turn = np.linalg.qr(rng.standard_normal((14, 14)))[0]
    first = values_of(*map(sample_of, rows))
    second = values_of(*map(sample_of, rows @ turn))
    for key, value in first.items():
        assert second[key].status is value.status
        assert value.value is None or second[key].value == pytest.approx(value.value, rel=1e-4)


def test_groups_missing_from_one_condition_do_not_stop_it(sample_of) -> None:
    rows = np.random.default_rng(5).standard_normal((800, 12)) * 0.6 ** np.arange(12)
    half = sample_of(rows[:400], groups=np.arange(400) % 7)
    other = sample_of(rows[400:], groups=4 + np.arange(400) % 7)
    value = values_of(half, other)["subspace_overlap", True]
    assert (value.status, value.num_groups, value.base_null_low) == (Status.OK, 11, None)
