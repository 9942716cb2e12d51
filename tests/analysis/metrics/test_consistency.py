"""consistency: the double loop over pairs of different prompts, and nothing for clustered noise."""

import numpy as np
import pytest

from analysis.metric import METRICS

consistency = METRICS.find("consistency")


def double_loop(rows: np.ndarray, prompts: np.ndarray) -> float:
    cosines = [
        rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])
        for i in range(len(rows))
        for j in range(len(rows))
        if prompts[i] != prompts[j]
    ]
    return float(np.mean(cosines))


def test_it_is_the_mean_cosine_over_pairs_of_different_prompts(sample_of) -> None:
    rng = np.random.default_rng(0)
    prompts = np.repeat(np.arange(30), rng.integers(1, 5, 30))
    rows = rng.standard_normal((len(prompts), 5)) + 0.4
    value = consistency.measure(sample_of(rows, prompts), None)[0]
    assert value.value == pytest.approx(double_loop(rows, prompts), rel=1e-10)
    assert value.low < value.value < value.high


def test_leaving_a_group_out_is_measuring_the_rest(sample_of) -> None:
    rng = np.random.default_rng(1)
    prompts = np.repeat(np.arange(12), rng.integers(1, 5, 12))
    rows, groups = rng.standard_normal((len(prompts), 4)) + 0.3, prompts % 6
    whole = double_loop(rows, prompts)
    counts = np.bincount(groups).astype(float)
    left = np.array([double_loop(rows[groups != g], prompts[groups != g]) for g in range(6)])
    h = counts.sum() / counts
    centre = 6 * whole - ((1 - 1 / h) * left).sum()
    error = np.sqrt((((h * whole - (h - 1) * left) - centre) ** 2 / (h - 1)).mean())
    value = consistency.measure(sample_of(rows, prompts, groups), None)[0]
    assert value.high - value.value == pytest.approx(2.570582 * error, rel=1e-6)  # t(5)


def test_noise_in_prompt_clusters_reads_zero_where_the_plug_in_does_not(sample_of) -> None:
    rng = np.random.default_rng(2)
    prompts = np.repeat(np.arange(64), 32)
    shared = rng.standard_normal((64, 256))[prompts]
    rows = shared + rng.standard_normal((len(prompts), 256))
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.linalg.norm(units.mean(axis=0)) > 0.08  # the plug-in, inflated by the clusters
    value = consistency.measure(sample_of(rows, prompts), None)[0]
    assert abs(value.value) < 0.005 and value.low < 0 < value.high


def test_it_is_signed(sample_of) -> None:
    rows = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 3, axis=0)
    value = consistency.measure(sample_of(rows, np.repeat([0, 1], 3)), None)[0]
    assert value.value == pytest.approx(-1.0)


def test_rotating_and_scaling_rows_changes_nothing(sample_of) -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((60, 6)) + 0.5
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    scaled = rows @ turn * rng.uniform(0.1, 10, (60, 1))
    first, second = (consistency.measure(sample_of(r), None)[0] for r in (rows, scaled))
    assert second.value == pytest.approx(first.value, rel=1e-9)
    assert second.high == pytest.approx(first.high, rel=1e-9)


def test_one_prompt_has_no_pairs(sample_of) -> None:
    value = consistency.measure(sample_of(np.ones((5, 3)), np.zeros(5, dtype=int)), None)[0]
    assert (value.value, value.reason) == (None, "all rows come from one prompt")
