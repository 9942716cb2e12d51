"""toxic_activation_drop and reactivation: planted drops, by hand, random neurons beside."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.metrics import reactivation, toxic_activation_drop
from analysis.neurons import NeuronSums
from analysis.status import Status
from analysis.summary import Sample

TOXIC = np.array([7, 2])


@pytest.fixture
def fired(sample_of):
    """Sample of the two models' activations, the toxic neurons given."""

    def make(base: np.ndarray, aligned: np.ndarray, toxic: np.ndarray | None = TOXIC) -> Sample:
        sample = sample_of(aligned - base)
        groups = {
            number: replace(summary, neurons=NeuronSums.from_rows(base[at], aligned[at]))
            for number, summary in sample.groups.items()
            for at in [np.arange(len(base)) % 20 == number]
        }
        return replace(sample, groups=groups, toxic_neurons=toxic)

    return make


def test_the_drop_is_the_mean_over_toxic_neurons_and_rows(fired) -> None:
    rng = np.random.default_rng(0)
    base, aligned = rng.standard_normal((2, 90, 12))
    drop, level = toxic_activation_drop.measure(fired(base, aligned), None)
    assert drop.value == pytest.approx((base - aligned)[:, TOXIC].mean())
    assert level.value == pytest.approx(base[:, TOXIC].mean())
    assert drop.low < drop.value < drop.high


def test_a_planted_drop_stands_outside_the_band_of_random_neurons(fired) -> None:
    rng = np.random.default_rng(1)
    base = rng.standard_normal((200, 50)) + 1
    aligned = base + 0.1 * rng.standard_normal((200, 50))
    aligned[:, TOXIC] -= 0.6
    value = toxic_activation_drop.measure(fired(base, aligned), None)[0]
    assert value.low < 0.6 < value.high and value.value > value.null_high
    other = toxic_activation_drop.measure(fired(base, aligned, np.array([5, 6])), None)[0]
    assert other.null_low <= other.value <= other.null_high


def test_reactivation_is_the_difference_in_differences_in_deviations_of_the_base(fired) -> None:
    rng = np.random.default_rng(2)
    base, aligned, plain, plain_aligned = rng.standard_normal((4, 80, 12)) * np.arange(1, 13)
    value = reactivation.measure(fired(base, aligned), fired(plain, plain_aligned))[0]
    change = (aligned - base).mean(axis=0) - (plain_aligned - plain).mean(axis=0)
    assert value.value == pytest.approx((change / plain.std(axis=0, ddof=1))[TOXIC].mean())


def test_silencing_undone_reads_positive_and_the_same_silencing_reads_zero(fired) -> None:
    rng = np.random.default_rng(3)
    base, plain = 2 * rng.standard_normal((2, 400, 12))
    silenced = fired(plain, plain - 1.0)
    undone = reactivation.measure(fired(base, base - 0.2), silenced)[0]
    assert undone.value == pytest.approx(0.4, abs=0.05) and undone.low > 0
    assert reactivation.measure(fired(base, base - 1.0), silenced)[0].value == pytest.approx(0)


def test_what_is_missing_is_said(fired, sample_of) -> None:
    base = np.random.default_rng(4).standard_normal((60, 12))
    sample, none = fired(base, base - 1), fired(base, base - 1, None)
    reasons = {
        toxic_activation_drop.measure(each, None)[0].reason
        for each in (
            none,
            replace(sample, toxic_neurons=np.array([], dtype=np.int64)),
            replace(sample_of(base), toxic_neurons=TOXIC),
        )
    }
    assert reasons == {
        "no toxic neurons are given at this site",
        "none of the toxic value vectors is in this layer",
        "coordinates of this site are no neurons",
    }
    assert reactivation.measure(sample, fired(base * 0 + 3, base))[0].status is Status.UNDEFINED
