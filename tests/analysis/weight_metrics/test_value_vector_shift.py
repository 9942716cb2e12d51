"""Value vectors moved by a known amount along a known direction."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.estimates.mean_offset import MeanOffset
from analysis.status import Status
from analysis.weight_metrics.value_vector_shift import REPORTS, Moved, Shift

D, NEURONS = 24, 400
TRUTH = np.random.default_rng(1).standard_normal(D)


def moved_at(cosine, spread=0.0, seed=0, neurons=NEURONS):
    """Changes of many lengths whose cosines with TRUTH lie about `cosine`."""
    draw = np.random.default_rng(seed)
    axis = TRUTH / np.linalg.norm(TRUTH)
    across = draw.standard_normal((neurons, D))
    across -= np.outer(across @ axis, axis)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = np.clip(cosine + spread * draw.standard_normal(neurons), -1, 1)[:, None]
    units = along * axis + np.sqrt(1 - along**2) * across
    return (units * draw.lognormal(-8, 1, (neurons, 1))).astype(np.float32)


def measured(offset, *changes):
    shift = Shift(offset=offset)
    for layer, change in enumerate(changes):
        shift.add(layer, Moved.of(change))
    return {value.metric: value for value in shift.values(len(changes) - 1)}


def test_a_planted_cosine_is_found_with_its_layers_told_apart(offset_of):
    found = measured(offset_of(TRUTH, noise=0.1), moved_at(-0.2), moved_at(-0.6), moved_at(-0.9))
    assert tuple(found) == REPORTS
    assert found["value_vector_shift_first"].value == pytest.approx(-0.2, abs=0.01)
    assert found["value_vector_shift"].value == pytest.approx(-0.6, abs=0.01)
    assert found["value_vector_shift_nearest"].value == pytest.approx(-0.9, abs=0.01)
    assert {value.status for value in found.values()} == {Status.OK}
    assert {(value.num_rows, value.num_groups) for value in found.values()} == {(100, 20)}
    nearest = found["value_vector_shift_nearest"]
    assert nearest.low < nearest.value < nearest.high < nearest.null_low


def test_quantiles_equal_those_of_the_cosines_themselves(offset_of):
    change = moved_at(-0.5, spread=0.2)
    found = measured(offset_of(TRUTH), change)
    cosines = change @ TRUTH / np.linalg.norm(change, axis=1) / np.linalg.norm(TRUTH)
    for name, share in (("", 0.5), ("_p05", 0.05), ("_p95", 0.95)):
        value = found[f"value_vector_shift{name}"].value
        assert value == pytest.approx(np.quantile(cosines, share), abs=0.01)
        assert (cosines <= value).mean() == pytest.approx(share, abs=0.005)


def test_the_mode_is_where_most_vectors_are_and_not_their_middle(offset_of):
    change = np.concatenate([moved_at(-0.85, 0.01), moved_at(0.0, 0.3, seed=1, neurons=500)])
    found = measured(offset_of(TRUTH), change)
    assert found["value_vector_shift_mode"].value == pytest.approx(-0.85, abs=0.015)
    assert found["value_vector_shift"].value > -0.8


def test_layers_pool_to_what_one_layer_of_all_their_vectors_gives(offset_of):
    parts = moved_at(-0.3, 0.2), moved_at(-0.7, 0.1, neurons=150)
    together = measured(offset_of(TRUTH, noise=0.3), np.concatenate(parts))
    apart = measured(offset_of(TRUTH, noise=0.3), *parts)
    for name in REPORTS[:4]:  # but for the noise of the mean, which is taken off by layer
        for end in ("value", "low", "high"):
            own, other = getattr(together[name], end), getattr(apart[name], end)
            assert own == pytest.approx(other, abs=0.002)


def test_a_rotated_stream_or_scaled_changes_give_the_same(offset_of, rotation):
    change, turn = moved_at(-0.4, 0.2), rotation(D)
    before = measured(offset_of(TRUTH), change)
    after = measured(offset_of(3 * TRUTH @ turn), (1e-6 * change @ turn).astype(np.float32))
    for name in REPORTS[:3]:
        assert after[name].value == pytest.approx(before[name].value, abs=0.002)


def test_random_directions_sit_inside_their_band(offset_of):
    """19 of 20 offsets that have nothing to do with the vectors, be these alike or not."""
    draw = np.random.default_rng(4)
    for change in (moved_at(-0.9), moved_at(0.0)):
        moved, inside = Moved.of(change), 0
        for _ in range(200):
            line = Shift(offset=offset_of(draw.standard_normal(D), num_groups=1)).add(0, moved)
            inside += line["null_low"] <= line["median"] <= line["null_high"]
        assert 175 <= inside <= 200


LAYERS = [(-0.3, 0.2, 0), (-0.6, 0.15, 3)]
"""Cosine, spread and seed of the vectors of two layers."""


@pytest.fixture(scope="module")
def noisy(offset_of):
    """A function: noise, seed -> every value, of a mean offset of 400 rows in 20 groups."""
    layers = [Moved.of(moved_at(*layer, neurons=3000)) for layer in LAYERS]

    def build(noise, seed=0):
        shift = Shift(offset=offset_of(TRUTH, noise=noise, per_group=20, seed=seed))
        for layer, moved in enumerate(layers):
            shift.add(layer, moved)
        return {value.metric: value for value in shift.values(1)}

    return build


@pytest.mark.parametrize(
    ("draws", "least", "most"), [(24, 20, 24), pytest.param(120, 106, 119, marks=pytest.mark.slow)]
)
def test_95_percent_intervals_cover_the_truth_each_number_its_own(noisy, draws, least, most):
    truth = {name: value.value for name, value in noisy(0.0).items()}
    covered = dict.fromkeys(REPORTS, 0)
    for seed in range(1000, 1000 + draws):
        for name, value in noisy(0.5, seed).items():
            covered[name] += value.low <= truth[name] <= value.high
    # The vectors are these and no others: how they happen to lie is a small bias of its own.
    assert all(least <= hits <= most for hits in covered.values()), covered


def test_noise_in_the_offset_does_not_make_cosines_smaller(noisy):
    truth = noisy(0.0)
    found = [noisy(1.5, seed) for seed in range(1000, 1040)]
    for name in ("value_vector_shift", "value_vector_shift_p05", "value_vector_shift_nearest"):
        mean = np.mean([values[name].value for values in found])
        # By the plain length of the mean they were 0.0029 to 0.0045 nearer to 0.
        assert mean == pytest.approx(truth[name].value, abs=0.0018)


def test_how_long_the_mean_is_without_noise_is_found_again_without_each_group(offset_of):
    offset, unit = offset_of(TRUTH, noise=1.5, seed=3), np.eye(D)[0]
    estimate = offset.cosine(unit)
    for place in range(offset.num_groups):
        rest = np.arange(offset.num_groups) != place
        numbers = tuple(np.array(offset.numbers)[rest].tolist())
        without = replace(
            offset, sums=offset.sums[rest], counts=offset.counts[rest], numbers=numbers
        )
        assert estimate.left_out[place] == pytest.approx(without.cosine(unit).value)


def test_an_offset_of_mostly_noise_is_not_made_to_fit(offset_of):
    """What is taken for noise is at most half of the mean's square."""
    draw, seen = np.random.default_rng(3), []
    for seed in range(60):
        offset = offset_of(0.02 * draw.standard_normal(D), noise=1.0, seed=seed)
        if offset.problem is None:
            axis = offset.sums.sum(axis=0) / np.linalg.norm(offset.sums.sum(axis=0))
            tilted = np.roll(axis, 1) - (np.roll(axis, 1) @ axis) * axis
            unit = 0.3 * axis + 0.91**0.5 * tilted / np.linalg.norm(tilted)
            seen.append(offset.cosine(unit).value)
    assert len(seen) > 10 and max(seen) == pytest.approx(0.3 * 2**0.5)


def test_vectors_that_did_not_move_are_counted_and_left_out(offset_of):
    still = np.zeros((60, D), np.float32)
    shift = Shift(offset=offset_of(TRUTH))
    line = shift.add(0, Moved.of(np.concatenate([moved_at(-0.5), still])))
    assert (line["num_vectors"], line["num_still"]) == (NEURONS, 60)
    assert sum(line["counts"]) == NEURONS
    assert shift.values(0)[0].value == pytest.approx(-0.5, abs=0.01)


def test_without_any_change_there_is_a_reason_and_no_number(offset_of):
    still = np.zeros((NEURONS, D), np.float32)
    found = measured(offset_of(TRUTH), still)
    assert {value.status for value in found.values()} == {Status.BELOW_NOISE_FLOOR}
    assert all(value.value is None and "moved" in value.reason for value in found.values())
    one = measured(offset_of(TRUTH), still, moved_at(-0.5))
    assert one["value_vector_shift_first"].status == Status.BELOW_NOISE_FLOOR
    assert one["value_vector_shift_nearest"].status == Status.OK


@pytest.mark.parametrize(
    ("truth", "more", "reason"),
    [
        (0 * TRUTH, {}, "is zero"),
        (TRUTH, {"floor": 1e3}, "the base against itself"),
        (TRUTH * np.nan, {}, "NaN"),
    ],
)
def test_an_offset_without_a_direction_gives_no_number(offset_of, truth, more, reason):
    found = measured(offset_of(truth, **more), moved_at(-0.5))
    assert all(value.value is None and reason in value.reason for value in found.values())


def test_groups_that_do_not_agree_have_no_direction():
    groups = {group: (TRUTH * (-1) ** group + 0.01 * (group == 0), 3) for group in range(20)}
    offset = MeanOffset.of_groups(groups)
    assert offset.problem is not None
    assert "do not agree" in offset.problem[1]


def test_a_mean_that_is_not_told_from_zero_has_no_cosines(offset_of):
    """Groups agree on a mean of zero by luck in half of the draws: few of these are answered."""
    noise = [offset_of(0 * TRUTH, noise=1.0, seed=seed) for seed in range(100)]
    assert sum(offset.problem is None for offset in noise) >= 30
    assert sum(offset.doubt is None for offset in noise) <= 15
    known = [offset_of(0.3 * TRUTH, noise=1.0, seed=seed) for seed in range(100)]
    assert all(offset.doubt is None for offset in known)
    luck = next(offset for offset in noise if offset.problem is None and offset.doubt is not None)
    found = measured(luck, moved_at(-0.5))
    assert {value.status for value in found.values()} == {Status.BELOW_NOISE_FLOOR}
    assert all("standard errors above 0" in value.reason for value in found.values())


def test_few_groups_give_the_number_without_an_interval(offset_of):
    value = measured(offset_of(TRUTH, num_groups=1), moved_at(-0.5))["value_vector_shift"]
    assert value.value == pytest.approx(-0.5, abs=0.01)
    assert (value.low, value.status) == (None, Status.TOO_FEW_GROUPS)


def test_no_mlp_below_is_no_number(offset_of):
    values = Shift(offset=offset_of(TRUTH)).values(-1)
    assert {value.status for value in values} == {Status.UNDEFINED}
