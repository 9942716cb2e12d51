"""toxic_activation_drop, gate_linear_split, reactivation: planted drops, random neurons."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.rows.neurons import NeuronSums
from analysis.rows.summary import Sample
from analysis.status import Status

gate_linear_split = METRICS.find("gate_linear_split")
reactivation = METRICS.find("reactivation")
toxic_activation_drop = METRICS.find("toxic_activation_drop")

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


def test_drops_that_cancel_in_the_product_are_seen_in_gate_and_linear_part(fired) -> None:
    rng = np.random.default_rng(5)
    gate, linear = rng.uniform(0.5, 1.5, (300, 12)), rng.standard_normal((300, 12))
    shut, less = gate.copy(), linear - 0.2
    shut[:, TOXIC] *= 0.1
    parts = {"mlp_gate": (gate, shut), "mlp_linear": (linear, less)}
    found = {
        site: gate_linear_split.measure(replace(fired(*each), site=site), None)
        for site, each in parts.items()
    }
    opened, let_through = found["mlp_gate"][0], found["mlp_linear"][1]
    assert opened.value == pytest.approx(0.9 * gate[:, TOXIC].mean()) and opened.low > 0.8
    assert opened.value > opened.null_high
    assert let_through.value == pytest.approx(0.2) == let_through.low
    product = replace(fired(gate * linear, shut * linear), site="mlp_act")
    drop = toxic_activation_drop.measure(product, None)[0]
    assert drop.low < 0 < drop.high


def test_each_of_them_is_of_its_own_site_and_says_which(fired) -> None:
    base = np.random.default_rng(6).standard_normal((60, 12))
    read = {
        (value.metric, site): value
        for site in ("mlp_act", "mlp_gate", "mlp_linear", "resid_post")
        for metric in (toxic_activation_drop, gate_linear_split)
        for value in metric.measure(replace(fired(base, base - 1), site=site), None)
    }
    own = {key for key, value in read.items() if value.value is not None}
    assert own == {
        ("toxic_activation_drop", "mlp_act"),
        ("toxic_activation_drop_base", "mlp_act"),
        ("gate_linear_split_gate", "mlp_gate"),
        ("gate_linear_split_linear", "mlp_linear"),
    }
    elsewhere = read["gate_linear_split_gate", "mlp_linear"]
    assert (elsewhere.status, elsewhere.reason) == (Status.NOT_RUN, "it is read at mlp_gate")


@pytest.mark.parametrize("scale", [0.5, -3.0])
def test_drops_scale_with_activations_and_no_order_matters(fired, scale: float) -> None:
    rng = np.random.default_rng(7)
    base, aligned = rng.standard_normal((2, 80, 12))
    rows, neurons = 20 * rng.permutation(4)[:, None] + np.arange(20), rng.permutation(12)
    moved = [each[rows.ravel()][:, neurons] * scale for each in (base, aligned)]
    places = np.argsort(neurons)[TOXIC]
    for metric in (toxic_activation_drop, gate_linear_split):
        first = metric.measure(fired(base, aligned), None)[0]
        second = metric.measure(fired(*moved, places), None)[0]
        assert second.value == pytest.approx(scale * first.value)
        ends = sorted((scale * first.low, scale * first.high))
        assert (second.low, second.high) == pytest.approx(tuple(ends))


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


def firing(rng: np.random.Generator, level: float) -> np.ndarray:
    return level + 0.5 * rng.standard_normal((400, 12))


def test_the_ratio_is_of_relative_changes(fired) -> None:
    rng = np.random.default_rng(5)
    base, plain = firing(rng, 1.0), firing(rng, 2.0)
    sample, silenced = fired(base, 0.9 * base), fired(plain, 0.6 * plain)
    difference, ratio = reactivation.measure(sample, silenced)
    assert ratio.value == pytest.approx(0.1 / 0.4) and ratio.status is Status.OK
    assert difference.value > 0
    alike = reactivation.measure(fired(base, 0.6 * base), silenced)[1]
    assert alike.value == pytest.approx(1)


@pytest.mark.parametrize(
    ("level", "plain_level", "kept", "reason"),
    [
        (0.0, 2.0, 0.6, "hardly fire"),
        (2.0, 0.0, 0.6, "hardly fire"),
        (-1.0, 2.0, 0.6, "hardly fire"),
        (2.0, 2.0, 1.0, "hardly moves them"),
    ],
)
def test_a_ratio_that_would_explode_is_missing(fired, level, plain_level, kept, reason) -> None:
    rng = np.random.default_rng(6)
    base, plain = firing(rng, level), firing(rng, plain_level)
    noise = 0.1 * rng.standard_normal(plain.shape)
    value = reactivation.measure(fired(base, 0.9 * base), fired(plain, kept * plain + noise))[1]
    assert (value.value, value.status) == (None, Status.BELOW_NOISE_FLOOR)
    assert reason in value.reason


def test_the_interval_of_the_ratio_covers_the_truth(fired) -> None:
    rng, hits = np.random.default_rng(7), 0
    for _ in range(200):
        base, plain = firing(rng, 1.0), firing(rng, 1.0)
        pair = [
            fired(each, each - drop - 0.5 * rng.standard_normal(each.shape))
            for each, drop in ((base, 0.1), (plain, 0.4))
        ]
        value = reactivation.measure(*pair)[1]
        hits += value.low <= 0.25 <= value.high
    assert 180 <= hits <= 196


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
