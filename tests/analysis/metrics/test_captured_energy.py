"""captured_energy: held-out subspaces by hand, noise captures no more than itself."""

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.metrics import captured_energy as room
from analysis.rows.summary import Sample
from analysis.status import Status

captured_energy = METRICS.find("captured_energy")


def values_of(sample: Sample, against: Sample) -> dict[tuple[str, bool | None], float | None]:
    found = captured_energy.measure(sample, against)
    return {(value.metric, value.centred): value.value for value in found}


def by_hand(
    rows: np.ndarray, plain: np.ndarray, groups: np.ndarray, centred: bool, num_axes: int
) -> float:
    inside = total = 0.0
    for group in np.unique(groups):
        kept = plain[groups != group]
        kept = kept - kept.mean(axis=0) * centred
        axes = np.linalg.svd(kept, full_matrices=False)[2][:num_axes].T
        held = rows[groups == group] - rows[groups != group].mean(axis=0) * centred
        inside += np.square(held @ axes).sum()
        total += np.square(held).sum()
    return inside / total


@pytest.mark.parametrize("dimension", [14, 90])
@pytest.mark.parametrize("centred", [False, True])
def test_subspaces_come_from_the_other_groups(sample_of, dimension: int, centred: bool) -> None:
    rng = np.random.default_rng(0)
    scale = 1 / np.arange(1, dimension + 1)
    plain, rows = (rng.standard_normal((2, 70, dimension)) + 0.5) * scale
    groups = rng.integers(0, 8, 70)
    found = values_of(sample_of(rows, groups=groups), sample_of(plain, groups=groups))
    expected = by_hand(rows, plain, groups, centred, 10)
    heldout = by_hand(plain, plain, groups, centred, 10)
    name = "captured_energy_learned"
    assert found[name, centred] == pytest.approx(expected, rel=1e-7)
    assert found[f"{name}_heldout", centred] == pytest.approx(heldout, rel=1e-7)
    assert found[f"{name}_ratio", centred] == pytest.approx(expected / heldout, rel=1e-7)


def test_intervals_are_the_wider_of_axes_held_fixed_and_learned_again(
    sample_of, monkeypatch
) -> None:
    rng = np.random.default_rng(4)
    pair = [sample_of(rows) for rows in rng.standard_normal((2, 120, 20)) * 0.9 ** np.arange(20)]

    def widths() -> np.ndarray:
        return np.array([value.high - value.low for value in captured_energy.measure(*pair)])

    def still(energies, *rest) -> tuple:
        return tuple([half.shares_along] * len(half.counts) for half in energies)

    both = widths()
    with monkeypatch.context() as patch:
        patch.setattr(room, "vary_axes", still)
        fixed = widths()
    with monkeypatch.context() as patch:
        patch.setattr(room, "fix_axes", still)
        again = widths()
    assert (both >= 0.999 * fixed).all() and (both >= 0.999 * again).all()
    population = [not value.metric.count("learned") for value in captured_energy.measure(*pair)]
    assert (both[population] > 1.01 * fixed[population]).any()
    assert (both[population] > 1.01 * again[population]).any()


def test_pure_noise_captures_k_over_d_and_a_ratio_of_one(sample_of) -> None:
    first, second = np.random.default_rng(1).standard_normal((2, 400, 100))
    for value in captured_energy.measure(sample_of(first), sample_of(second)):
        expected = 1.0 if value.metric.endswith("_ratio") else 0.1
        if "learned" in value.metric:
            assert value.value == pytest.approx(expected, rel=0.12)
        else:  # which axes lead is not told: the interval says so
            assert value.low <= expected <= value.high
        assert value.status is Status.OK


def test_a_condition_against_itself_has_a_ratio_of_exactly_one(sample_of) -> None:
    sample = sample_of(np.random.default_rng(2).standard_normal((100, 30)))
    for value in captured_energy.measure(sample, sample):
        if value.metric.endswith("_ratio"):
            assert (value.value, value.low, value.high) == pytest.approx((1.0, 1.0, 1.0))


def test_a_shared_subspace_captures_all_and_an_orthogonal_one_nothing(sample_of) -> None:
    rng = np.random.default_rng(3)
    low, high = np.zeros((2, 120, 40))
    low[:, :8] = rng.standard_normal((120, 8))
    high[:, 20:28] = rng.standard_normal((120, 8))
    shared = values_of(sample_of(low[::-1].copy()), sample_of(low))
    apart = values_of(sample_of(high), sample_of(low))
    for centred in (False, True):
        assert shared["captured_energy", centred] == pytest.approx(1.0)
        assert apart["captured_energy", centred] == pytest.approx(0.0, abs=1e-12)
        assert apart["captured_energy_heldout", centred] == pytest.approx(1.0)


def test_rows_fewer_than_ten_per_side_use_the_axes_there_are(sample_of) -> None:
    rows = np.random.default_rng(4).standard_normal((6, 30))
    found = values_of(sample_of(rows), sample_of(rows))
    assert found["captured_energy_learned", False] == pytest.approx(
        by_hand(rows, rows, np.arange(6), False, 5), rel=1e-7
    )


def test_groups_missing_from_one_condition_do_not_stop_it(sample_of) -> None:
    rows = np.random.default_rng(5).standard_normal((80, 12))
    half = sample_of(rows[:40], groups=np.arange(40) % 7)
    other = sample_of(rows[40:], groups=4 + np.arange(40) % 7)
    found = {(v.metric, v.centred): v for v in captured_energy.measure(half, other)}
    assert all(value.status is Status.OK for value in found.values())
    assert found["captured_energy", True].num_groups == 7
    assert found["captured_energy_ratio", True].num_groups == 11


def test_the_random_band_is_k_over_d_and_a_learned_subspace_stands_above_it(sample_of) -> None:
    rng = np.random.default_rng(6)
    scale = np.where(np.arange(80) < 10, 1.0, 0.1)
    rows, plain = rng.standard_normal((2, 400, 80)) * scale
    for value in captured_energy.measure(sample_of(rows), sample_of(plain)):
        if value.metric.endswith("_ratio"):
            assert value.null_low is None
        else:
            assert value.null_low < 10 / 80 < value.null_high < 0.4 < value.value
        assert value.base_null_low is None  # no base rows are kept


def test_rows_shaped_like_the_base_capture_what_its_band_says(sample_of) -> None:
    rng = np.random.default_rng(7)
    scale = 1 / np.sqrt(np.arange(1, 61))
    rows, plain, base, plain_base = rng.standard_normal((4, 600, 60)) * scale
    sample = sample_of(rows, base=10 * base + 3), sample_of(plain, base=10 * plain_base + 3)
    (value,) = (
        value
        for value in captured_energy.measure(*sample)
        if (value.metric, value.centred) == ("captured_energy_learned", True)
    )
    middle = (value.base_null_low + value.base_null_high) / 2
    assert value.value == pytest.approx(middle, rel=0.06) and value.value > value.null_high


@pytest.mark.parametrize("num_rows", [80, 300])
def test_few_rows_read_the_share_of_the_population_where_learned_axes_read_low(
    sample_of, num_rows: int
) -> None:
    rng, dimension = np.random.default_rng(8), 160
    scale = np.sqrt(np.arange(1.0, dimension + 1) ** -1)
    kept = np.where(np.arange(dimension) < 10, 0.6, 1.0)  # this condition holds less there
    own, plain = np.square(scale) * kept, np.square(scale)
    truths = own[:10].sum() / own.sum(), plain[:10].sum() / plain.sum()
    found = []
    for _ in range(3):
        first, second = rng.standard_normal((2, num_rows, dimension)) * scale
        values = values_of(sample_of(first * np.sqrt(kept)), sample_of(second))
        names = ("captured_energy", "captured_energy_heldout", "captured_energy_learned_heldout")
        found.append([values[name, True] for name in names])
    mean = np.mean(found, axis=0)
    assert mean[:2] == pytest.approx(truths, rel=0.1)
    assert mean[2] < truths[1] * (0.9 if num_rows == 80 else 0.99)


def test_no_end_of_a_ratio_of_energies_is_below_zero(sample_of) -> None:
    rng = np.random.default_rng(0)
    rows, plain = rng.standard_normal((6, 32)), rng.standard_normal((6, 32))
    groups = np.arange(6)
    found = captured_energy.measure(sample_of(rows, groups=groups), sample_of(plain, groups=groups))
    lows = {
        (v.metric, v.centred): v.low for v in found if v.metric == "captured_energy_learned_ratio"
    }
    assert lows == {key: 0.0 for key in lows} and len(lows) == 2
