"""Recovered shares and bands of random controls on outcomes whose truth is known."""

import numpy as np
import pytest

from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.intervening.dose_measurements import DoseValues, measure_doses, null_band, recovered_share
from jobs.intervening.passes import from_arrays, to_arrays

GROUPS = np.repeat(np.arange(20), 6)


def outcome(values, groups=GROUPS, **more):
    return BehaviourValues(
        **{"metric": "toxic_mass", "definition": "v1: d", "position": "last", **more},
        values=np.asarray(values, dtype=np.float64),
        groups=groups,
    )


def draws(number):
    """(plain, patched, other) with shared prompt and group effects, of a true share of 0.7."""
    for seed in range(number):
        draw = np.random.default_rng(seed)
        shared = 0.1 * draw.standard_normal(20)[GROUPS] + 0.1 * draw.standard_normal(len(GROUPS))
        way = 0.4 + 0.1 * draw.standard_normal(20)[GROUPS]
        noise = [0.05 * draw.standard_normal(len(GROUPS)) for _ in range(3)]
        plain, other = 0.5 + shared + noise[0], 0.5 + shared + way + noise[1]
        yield outcome(plain), outcome(0.5 + shared + 0.7 * way + noise[2]), outcome(other)


def test_the_interval_of_a_share_covers_the_truth():
    found = [recovered_share(*each) for each in draws(200)]
    covered = np.mean([each.low <= 0.7 <= each.high for each in found])
    assert 0.90 <= covered <= 0.98
    assert np.mean([each.value for each in found]) == pytest.approx(0.7, abs=0.02)


def test_a_share_is_paired():
    """What all models have in common is no uncertainty of the way from one to the other."""
    plain, patched, other = next(iter(draws(1)))
    common = 50 * np.random.default_rng(9).standard_normal(20)[GROUPS]
    moved = [outcome(each.values + common) for each in (plain, patched, other)]
    first, second = recovered_share(plain, patched, other), recovered_share(*moved)
    assert second.value == pytest.approx(first.value)
    assert (second.low, second.high) == pytest.approx((first.low, first.high))


def test_full_none_and_overshot():
    plain, _, other = next(iter(draws(1)))
    for patched, share in ((other, 1.0), (plain, 0.0)):
        found = recovered_share(plain, patched, other)
        assert (found.value, found.low, found.high) == pytest.approx((share, share, share))
    beyond = outcome(2 * other.values - plain.values)
    assert recovered_share(plain, beyond, other).value == pytest.approx(2.0)


def test_there_is_no_share_of_nothing():
    plain, patched, _ = next(iter(draws(1)))
    noise = np.random.default_rng(1).standard_normal(len(GROUPS))
    assert recovered_share(plain, patched, plain) == "the two models do not differ"
    assert "do not differ surely" in recovered_share(plain, patched, outcome(plain.values + noise))


def test_other_prompts_are_not_compared():
    plain, patched, other = next(iter(draws(1)))
    fewer = outcome(patched.values[6:], GROUPS[6:])
    assert "same prompt groups" in recovered_share(plain, fewer, other)


def test_a_band_holds_one_more_control_19_times_in_20():
    draw = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        *known, new = draw.standard_normal(6)
        low, high = null_band(known)
        held += low <= new <= high
    assert 0.92 <= held / 400 <= 0.98
    assert null_band([1.0]) is None


def test_no_band_goes_where_no_model_can():
    """Random controls that scatter between 0 and 1 could not take a share beyond the whole way."""
    groups = np.arange(20)
    plain, other = (outcome(np.full(20, mean), groups) for mean in (0.5, 0.1))
    controls = [[outcome(np.full(20, mean), groups)] for mean in (0.0, 0.9, 0.4)]
    doses = {1.0: DoseValues(patched=[other], controls=controls)}
    found = {
        row.metric: row
        for row in measure_doses([plain], [other], doses, "v1: ")
        if row.axes["dose"] == "1"
    }
    patched, share = found["patched_toxic_mass"], found["recovered_toxic_mass"]
    assert (patched.null_low, patched.null_high) == (0, 1)
    assert (share.null_low, share.null_high) == pytest.approx((-1.25, 1.25))


def test_rows_keep_shares_and_losses_apart():
    plain, patched, other = next(iter(draws(1)))
    loss = {"metric": "perplexity", "position": "response", "is_loss": True}
    losses = [outcome(2 + each.values, **loss) for each in (plain, patched, other)]
    doses = {1.5: DoseValues(patched=[losses[1]], controls=[[losses[0]]] * 3)}
    found = {
        (row.metric, row.axes["dose"]): row
        for row in measure_doses([losses[0]], [losses[2]], doses, "v1: ")
    }
    assert set(found) == {
        ("patched_perplexity", "0"),
        ("patched_perplexity", "1.5"),
        ("recovered_perplexity", "1.5"),
    }
    one = found["patched_perplexity", "1.5"]
    assert one.value == pytest.approx(np.exp(losses[1].values.mean()))
    # Three equal controls: a band of no width, at the unchanged model's own perplexity.
    alone = pytest.approx(np.exp(losses[0].values.mean()))
    assert (one.null_low, one.null_high) == (alone, alone)
    share = found["recovered_perplexity", "1.5"]
    assert share.value == pytest.approx(recovered_share(plain, patched, other).value)
    assert (share.null_low, share.null_high) == pytest.approx((0, 0))


def test_a_kept_outcome_is_the_outcome():
    plain, *_ = next(iter(draws(1)))
    missing = outcome([], np.zeros(0, dtype=np.int64), missing="nothing", note="ü")
    for before, after in zip(
        [plain, missing], from_arrays(to_arrays([plain, missing])), strict=True
    ):
        assert before.measured() == after.measured()
        assert np.array_equal(before.values, after.values)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_is_missing_and_says_why(broken):
    plain, _, other = next(iter(draws(1)))
    patched = outcome(np.where(GROUPS == 3, broken, 0.5), is_loss=True)
    controls = [[outcome(np.full(len(GROUPS), broken))] for _ in range(3)]
    at_dose = DoseValues(patched=[patched], controls=controls)
    found = list(measure_doses([plain], [other], {1e300: at_dose}, "v1: {metric}: "))
    assert [row.status for row in found] == ["ok", "undefined", "undefined"]
    assert all(row.value is None and row.reason for row in found[1:])
    assert all(row.null_low is None for row in found)
