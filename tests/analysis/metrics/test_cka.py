"""cka: the published formula by hand, nothing for independent rows, its invariances."""

import numpy as np
import pytest

from analysis.metric import METRICS
from analysis.status import Status

cka = METRICS.find("cka")


def hsic_by_hand(first: np.ndarray, second: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, term by term."""
    n = len(first)
    k, m = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    ones = np.ones(n)
    middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    last = 2 / (n - 2) * (ones @ k @ m @ ones)
    return float((np.trace(k @ m) + middle - last) / (n * (n - 3)))


def cka_by_hand(base: np.ndarray, aligned: np.ndarray) -> float:
    kernels = base @ base.T, aligned @ aligned.T
    squares = [hsic_by_hand(kernel, kernel) for kernel in kernels]
    return hsic_by_hand(*kernels) / float(np.sqrt(np.prod(squares)))


def plug_in(base: np.ndarray, aligned: np.ndarray) -> float:
    base, aligned = base - base.mean(axis=0), aligned - aligned.mean(axis=0)
    norms = np.linalg.norm(base.T @ base) * np.linalg.norm(aligned.T @ aligned)
    return float(np.linalg.norm(aligned.T @ base) ** 2 / norms)


def test_it_and_its_jackknife_are_the_published_formula(sample_of) -> None:
    rng = np.random.default_rng(0)
    base, delta = rng.standard_normal((2, 40, 6)).astype(np.float32)
    groups = np.arange(40) % 8
    (value,) = cka.measure(sample_of(delta, groups=groups, base=base), None)
    base, aligned = base.astype(np.float64), base.astype(np.float64) + delta
    whole = cka_by_hand(base, aligned)
    assert value.value == pytest.approx(whole, rel=1e-9)
    left = np.array([cka_by_hand(base[groups != g], aligned[groups != g]) for g in range(8)])
    z = np.arctanh(left)
    half = 2.364624 * np.sqrt(7 / 8 * np.square(z - z.mean()).sum())  # t(7)
    ends = np.tanh([np.arctanh(whole) - half, np.arctanh(whole) + half])
    assert (value.low, value.high) == pytest.approx(tuple(ends), rel=1e-5)
    assert value.left_out[:8] == pytest.approx(left, rel=1e-9)


def test_independent_rows_read_zero_where_the_plug_in_reads_almost_one(sample_of) -> None:
    base, aligned = np.random.default_rng(1).standard_normal((2, 64, 1024))
    assert plug_in(base, aligned) > 0.9
    (value,) = cka.measure(sample_of(aligned - base, base=base), None)
    assert abs(value.value) < 0.05 and value.low < 0 < value.high


def test_turning_or_scaling_the_aligned_rows_changes_nothing(sample_of) -> None:
    rng = np.random.default_rng(2)
    base, aligned = rng.standard_normal((2, 60, 5))
    aligned += base
    turned = 3 * aligned @ np.linalg.qr(rng.standard_normal((5, 5)))[0] + 10
    found = [cka.measure(sample_of(a - base, base=base), None)[0] for a in (aligned, turned)]
    assert found[1].value == pytest.approx(found[0].value, rel=1e-5)
    (same,) = cka.measure(sample_of(2 * base + 1, base=base), None)
    assert (same.value, same.low, same.high) == pytest.approx((1.0, 1.0, 1.0))


def test_only_the_first_kept_row_of_a_prompt_enters(sample_of) -> None:
    rng = np.random.default_rng(3)
    base, delta = rng.standard_normal((2, 120, 5))
    prompts = np.repeat(np.arange(40), 3)
    (value,) = cka.measure(sample_of(delta, prompts, base=base), None)
    (first,) = cka.measure(sample_of(delta[::3], base=base[::3]), None)
    assert (value.value, value.num_rows) == (first.value, 40)


def test_without_base_rows_it_was_not_run(sample_of) -> None:
    (value,) = cka.measure(sample_of(np.ones((30, 3))), None)
    assert (value.status, value.reason) == (Status.NOT_RUN, "the base model's rows are not kept")


def test_base_rows_that_are_not_numbers_are_named(sample_of) -> None:
    base = np.ones((30, 3))
    base[4, 1] = np.nan
    sample = sample_of(np.random.default_rng(4).standard_normal((30, 3)), base=base)
    assert cka.measure(sample, None)[0].reason == "kept base rows hold NaN or infinity"
    assert sample.base is None
