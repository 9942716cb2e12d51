"""toxic_projection: the mean cosine by hand, signed, with a band that random directions keep."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.measurement import Measurement
from analysis.metric import METRICS
from analysis.rows.summary import Sample, ToxicDirections
from analysis.status import Status

toxic_projection = METRICS.find("toxic_projection")


def values_of(sample: Sample, probe: np.ndarray, svd: np.ndarray) -> dict[str, Measurement]:
    known = replace(sample, toxic=ToxicDirections(probe=probe, svd=svd))
    return {value.metric: value for value in toxic_projection.measure(known, None)}


def test_it_is_the_mean_cosine_of_the_rows_with_each_direction(sample_of) -> None:
    rng = np.random.default_rng(0)
    rows, probe, svd = rng.standard_normal((60, 7)) + 0.4, 5 * np.ones(7), np.eye(7)[:3] * 2
    found = values_of(sample_of(rows), probe, svd)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert found["toxic_projection"].value == pytest.approx((units @ np.ones(7) / 7**0.5).mean())
    for place in range(3):
        expected = units[:, place].mean()
        assert found[f"toxic_projection_svd{place + 1}"].value == pytest.approx(expected)


def test_moving_against_toxicity_is_negative_and_beyond_the_bands(sample_of) -> None:
    rng = np.random.default_rng(1)
    probe = rng.standard_normal(80)
    rows = 0.1 * rng.standard_normal((100, 80)) - probe / np.linalg.norm(probe)
    base = rng.standard_normal((100, 80))
    value = values_of(sample_of(rows, base=base), probe, np.eye(80)[:3])["toxic_projection"]
    assert value.value == pytest.approx(-0.75, abs=0.1) and value.high < 0
    assert value.value < min(value.null_low, value.base_null_low)


def test_random_directions_stay_inside_their_band(sample_of) -> None:
    rng = np.random.default_rng(2)
    sample = sample_of(rng.standard_normal((80, 50)) + 1)
    inside = 0
    for _ in range(100):
        value = values_of(sample, rng.standard_normal(50), np.zeros((0, 50)))["toxic_projection"]
        inside += value.null_low <= value.value <= value.null_high
    assert 88 <= inside <= 100


def test_scaling_rows_one_by_one_changes_nothing(sample_of) -> None:
    rng = np.random.default_rng(3)
    rows, probe = rng.standard_normal((60, 5)) + 0.3, rng.standard_normal(5)
    scaled = rows * rng.uniform(0.1, 10, (60, 1))
    first, second = (values_of(sample_of(r), probe, np.eye(5)[:3]) for r in (rows, scaled))
    for name, value in first.items():
        assert second[name].value == pytest.approx(value.value, rel=1e-9)


def test_what_is_not_given_is_said(sample_of) -> None:
    sample = sample_of(np.random.default_rng(4).standard_normal((40, 4)))
    for value in toxic_projection.measure(sample, None):
        assert value.reason == "no toxic directions are given at this site"
    found = values_of(sample, np.zeros(4), np.eye(4)[:1])
    assert found["toxic_projection"].status is Status.UNDEFINED
    assert found["toxic_projection_svd1"].status is Status.OK
    assert found["toxic_projection_svd2"].reason == "there are 1 toxic SVD directions"
