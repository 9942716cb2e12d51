"""cosine_to_mean: brute force over prompts, and no bias from a row's own prompt."""

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.rows.summary import Sample
from analysis.status import Status

cosine_to_mean = METRICS.find("cosine_to_mean")


def by_hand(rows: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    others = np.stack([rows[prompts != prompt].mean(axis=0) for prompt in prompts])
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    return np.einsum("ij,ij->i", rows, others) / norms


def test_it_leaves_out_all_rows_of_the_own_prompt(sample_of) -> None:
    rng = np.random.default_rng(0)
    prompts = rng.permutation(np.repeat(np.arange(40), 3))
    rows = (rng.standard_normal((120, 6)) + 0.5).astype(np.float32)
    found = cosine_to_mean.measure(sample_of(rows, prompts), None)
    cosines = by_hand(rows.astype(np.float64), prompts)
    for value, share in zip(found, (0.5, 0.05, 0.95), strict=True):
        assert value.value == pytest.approx(np.quantile(cosines, share), rel=1e-9)
        assert value.low <= value.value <= value.high
        assert (value.num_rows, value.num_groups) == (120, 20)


def test_clustered_noise_reads_zero(sample_of) -> None:
    rng = np.random.default_rng(1)
    prompts = np.repeat(np.arange(60), 8)
    rows = rng.standard_normal((60, 64))[prompts] + 0.3 * rng.standard_normal((480, 64))
    value = cosine_to_mean.measure(sample_of(rows, prompts), None)[0]
    assert abs(value.value) < 0.05 and value.low < 0 < value.high


def test_one_direction_reads_one(sample_of) -> None:
    rows = np.random.default_rng(2).uniform(1, 3, (40, 1)) * np.array([[1.0, 2.0, 2.0]])
    assert cosine_to_mean.measure(sample_of(rows), None)[0].value == pytest.approx(1.0)


def test_without_kept_rows_it_was_not_run(sample_of) -> None:
    sample = sample_of(np.ones((30, 3)))
    value = cosine_to_mean.measure(Sample(groups=sample.groups, reservoir=None), None)[0]
    assert (value.value, value.status) == (None, Status.NOT_RUN)
