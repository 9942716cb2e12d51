"""mean_cosine: crossing groups by hand, no attenuation by noise, 1 with itself."""

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.status import Status

mean_cosine = METRICS.find("mean_cosine")


def crossed(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> float:
    pairs = groups[:, None] != groups[None, :]
    return float((first @ second.T)[pairs].mean())


def test_products_and_norms_come_from_different_groups(sample_of) -> None:
    rng = np.random.default_rng(0)
    plain, other = rng.standard_normal((40, 5)) + 1.5, rng.standard_normal((40, 5))
    other[:, :2] += 1.5
    groups = rng.integers(0, 6, 40)
    samples = [sample_of(rows, groups=groups) for rows in (other, plain)]
    value = mean_cosine.measure(*samples)[0]
    norms = crossed(other, other, groups) * crossed(plain, plain, groups)
    assert value.value == pytest.approx(crossed(other, plain, groups) / np.sqrt(norms), rel=1e-9)
    assert value.low < value.value < value.high


def test_noise_does_not_attenuate_it(sample_of) -> None:
    rng = np.random.default_rng(1)
    mean = np.zeros(200)
    mean[0] = 1.0
    found, plain_cosines = [], []
    for _ in range(20):
        first, second = (rng.standard_normal((200, 200)) + mean for _ in range(2))
        found.append(mean_cosine.measure(sample_of(first), sample_of(second))[0].value)
        means = first.mean(axis=0), second.mean(axis=0)
        plain_cosines.append(means[0] @ means[1] / np.prod(np.linalg.norm(means, axis=1)))
    assert np.mean(plain_cosines) < 0.6
    assert np.mean(found) == pytest.approx(1.0, abs=0.06)


def test_a_condition_has_cosine_one_with_itself_and_minus_one_with_its_opposite(sample_of) -> None:
    rows = np.random.default_rng(2).standard_normal((60, 4)) + 1
    sample = sample_of(rows)
    assert mean_cosine.measure(sample, sample)[0].value == pytest.approx(1.0)
    assert mean_cosine.measure(sample, sample_of(-rows))[0].value == pytest.approx(-1.0)


def test_orthogonal_means_read_zero_inside_the_interval(sample_of) -> None:
    rng = np.random.default_rng(3)
    first, second = 0.3 * rng.standard_normal((2, 100, 6))
    first[:, 0] += 1
    second[:, 1] += 1
    value = mean_cosine.measure(sample_of(first), sample_of(second))[0]
    assert abs(value.value) < 0.1 and value.low < 0 < value.high


def test_groups_may_be_missing_from_either_condition(sample_of) -> None:
    rng = np.random.default_rng(4)
    first, second = rng.standard_normal((2, 60, 4)) + 2
    half = sample_of(first[:30], groups=np.arange(30) % 6)
    other = sample_of(second[:30], groups=3 + np.arange(30) % 6)
    value = mean_cosine.measure(half, other)[0]
    assert (value.status, value.num_groups) == (Status.OK, 9)
    assert value.value == pytest.approx(1.0, abs=0.1)


def test_a_mean_that_groups_do_not_agree_on_has_no_direction(sample_of) -> None:
    rows = np.array([[1.0, 0.0], [-1.0, 0.0]]).repeat(10, axis=0)
    groups = np.repeat([0, 1], 10)
    value = mean_cosine.measure(sample_of(rows, groups=groups), sample_of(1 + rows, groups=groups))
    assert value[0].value is None and value[0].status is Status.BELOW_NOISE_FLOOR


def test_a_mean_that_all_but_one_group_lack_has_no_direction(sample_of) -> None:
    rows = np.zeros((20, 2))
    rows[:, 0] = [5, 1, 1, 1, *[1, -1] * 8]
    groups = np.arange(20)
    assert crossed(rows, rows, groups) > 0 > crossed(rows[1:], rows[1:], groups[1:])
    other = sample_of(rows + np.array([0.0, 9.0]), groups=groups)
    value = mean_cosine.measure(sample_of(rows, groups=groups), other)[0]
    assert (value.value, value.status) == (None, Status.BELOW_NOISE_FLOOR)


def test_without_a_condition_to_compare_with_it_was_not_run(sample_of) -> None:
    value = mean_cosine.measure(sample_of(np.ones((30, 3))), None)[0]
    assert (value.value, value.status) == (None, Status.NOT_RUN)
    assert value.reason == "no condition to compare with was given"


def test_it_stands_beside_what_random_directions_and_the_base_covariance_give(sample_of) -> None:
    rng = np.random.default_rng(5)
    scale = np.where(np.arange(100) < 1, 30.0, 1.0)
    base = rng.standard_normal((60, 100)) * scale + 5
    rows = rng.standard_normal((60, 100)) + 2
    value = mean_cosine.measure(sample_of(rows, base=base), sample_of(rows, base=base))[0]
    assert (value.null_low, value.null_high) == pytest.approx((-0.196, 0.196), abs=0.002)
    assert value.base_null_high > 0.9 and value.base_null_low < -0.9
    alone = mean_cosine.measure(sample_of(rows), sample_of(rows, base=base))[0]
    assert alone.null_high == value.null_high and alone.base_null_high is None
