"""offset_norm and relative_norm: quantiles to 1 %, zeros included, intervals over groups."""

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.status import Status

offset_norm = METRICS.find("offset_norm")
relative_norm = METRICS.find("relative_norm")


def test_quantiles_of_the_norm_are_those_of_the_rows(sample_of) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, 6)) * rng.uniform(0.1, 3, (4000, 1))
    base = rng.uniform(10, 20, 4000)
    sample = sample_of(rows, base_norms=base)
    norms = np.linalg.norm(rows, axis=1)
    for module, values in ((offset_norm, norms), (relative_norm, norms / base)):
        found = module.measure(sample, None)
        assert tuple(value.metric for value in found) == module.REPORTS
        for value, share in zip(found, (0.5, 0.05, 0.95), strict=True):
            assert value.value == pytest.approx(np.quantile(values, share), rel=0.01)
            assert value.low < value.value < value.high
            assert (value.status, value.num_rows, value.num_groups) == (Status.OK, 4000, 20)


def test_one_huge_row_does_not_move_the_median(sample_of) -> None:
    """Lesson 4: massive rows are reported, and decide nothing alone."""
    rows = np.ones((101, 4))
    rows[7] = 1e5
    assert offset_norm.measure(sample_of(rows), None)[0].value == pytest.approx(2.0, rel=0.01)


def test_the_interval_widens_when_groups_differ(sample_of) -> None:
    rng = np.random.default_rng(1)
    rows, prompts = rng.standard_normal((400, 5)), np.arange(400)
    apart = rows * (1 + 0.5 * (prompts % 20)[:, None] / 20)
    alike, different = (offset_norm.measure(sample_of(r), None)[0] for r in (rows, apart))
    assert different.high - different.low > 1.5 * (alike.high - alike.low)


def test_rows_that_did_not_move_have_norm_zero(sample_of) -> None:
    value = offset_norm.measure(sample_of(np.zeros((40, 3))), None)[0]
    assert (value.value, value.low, value.high, value.status) == (0.0, 0.0, 0.0, Status.OK)


def test_a_base_of_zeros_has_no_relative_norm(sample_of) -> None:
    sample = sample_of(np.ones((40, 3)), base_norms=np.zeros(40))
    value = relative_norm.measure(sample, None)[0]
    assert value.value is None and value.status is Status.UNDEFINED
    assert value.reason == "no row has this value (the base rows are zero)"
