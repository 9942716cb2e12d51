"""cosine_to_mean: brute force over prompts, and no bias from a row's own prompt."""

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.rows.summary import Sample
from analysis.status import Status

cosine_to_mean = METRICS.find("cosine_to_mean")


def by_hand(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Cosines to the mean of other groups, its length by pairs of groups; their spread as it is."""
    others = np.stack([rows[groups != group].mean(axis=0) for group in groups])
    sums = np.stack([rows[groups == group].sum(axis=0) for group in np.unique(groups)])
    counts = np.array([np.sum(groups == group) for group in np.unique(groups)])
    gram, pairs = sums @ sums.T, np.outer(counts, counts)
    apart = ~np.eye(len(counts), dtype=bool)
    length = (gram[apart].sum() / pairs[apart].sum()) ** 0.5
    return np.einsum("ij,ij->i", rows, others) / np.linalg.norm(rows, axis=1) / length


def test_it_leaves_out_all_rows_of_the_own_group(sample_of) -> None:
    rng = np.random.default_rng(0)
    prompts = rng.permutation(np.repeat(np.arange(40), 3))
    rows = (rng.standard_normal((120, 6)) + 0.5).astype(np.float32)
    found = cosine_to_mean.measure(sample_of(rows, prompts), None)
    cosines = by_hand(rows.astype(np.float64), prompts % 20)
    spread = cosines.std()
    for value, share in zip(found, (0.5, 0.05, 0.95), strict=True):
        assert value.value == pytest.approx(np.quantile(cosines, share), abs=0.1 * spread)
        assert abs(value.value - cosines.mean()) <= abs(
            np.quantile(cosines, share) - cosines.mean()
        )
        assert value.low <= value.value <= value.high
        assert (value.num_rows, value.num_groups) == (120, 20)


def test_noise_of_the_mean_neither_shortens_nor_spreads_the_cosines(sample_of) -> None:
    """Rows of a known mean, so few that the plain cosines spread far beyond the true ones."""
    rng, found, truth = np.random.default_rng(3), [], []
    mean = np.zeros(200)
    mean[0] = 6.0
    for _ in range(20):
        rows = rng.standard_normal((80, 200)) + mean
        values = cosine_to_mean.measure(sample_of(rows), None)
        found.append([value.value for value in values])
        fresh = rng.standard_normal((4000, 200)) + mean
        truth.append(np.quantile(fresh[:, 0] / np.linalg.norm(fresh, axis=1), (0.5, 0.05, 0.95)))
    assert np.mean(found, axis=0) == pytest.approx(np.mean(truth, axis=0), abs=0.012)


def test_clustered_noise_reads_zero(sample_of) -> None:
    rng, covered = np.random.default_rng(1), 0
    prompts = np.repeat(np.arange(60), 8)
    for _ in range(12):
        rows = rng.standard_normal((60, 64))[prompts] + 0.3 * rng.standard_normal((480, 64))
        value = cosine_to_mean.measure(sample_of(rows, prompts), None)[0]
        assert abs(value.value) < 0.15
        covered += value.low <= 0 <= value.high
    assert covered >= 9


def test_one_direction_reads_one(sample_of) -> None:
    rows = np.random.default_rng(2).uniform(1, 3, (40, 1)) * np.array([[1.0, 2.0, 2.0]])
    assert cosine_to_mean.measure(sample_of(rows), None)[0].value == pytest.approx(1.0)


def test_without_kept_rows_it_was_not_run(sample_of) -> None:
    sample = sample_of(np.ones((30, 3)))
    value = cosine_to_mean.measure(Sample(groups=sample.groups, reservoir=None), None)[0]
    assert (value.value, value.status) == (None, Status.NOT_RUN)
