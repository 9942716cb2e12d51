"""Weights that moved by a known amount."""

import numpy as np
import pytest

from analysis.status import Status
from analysis.weight_metrics.weight_drift import TensorDrift, measure, rounded, rounding_floor


def state(seed=0, shape=(30, 40)):
    return np.random.default_rng(seed).standard_normal(shape)


def test_norm_and_cosine_are_those_of_numpy():
    base, aligned = state(), state() + 0.1 * state(1)
    found = TensorDrift.of("w", base.astype(np.float32), aligned.astype(np.float32))
    assert found.relative_norm == pytest.approx(
        np.linalg.norm(aligned - base) / np.linalg.norm(base), rel=1e-5
    )
    cosine = np.vdot(base, aligned) / np.linalg.norm(base) / np.linalg.norm(aligned)
    assert found.cosine == pytest.approx(cosine, rel=1e-6)
    scaled = TensorDrift.of("w", 1e-3 * base, 1e-3 * aligned)
    assert (scaled.relative_norm, scaled.cosine) == pytest.approx(
        (found.relative_norm, found.cosine), rel=1e-5
    )


def test_a_change_far_below_the_rounding_of_float32_sums_is_not_lost():
    base = np.ones((2000, 3000), np.float32)  # more entries than are summed at a time
    aligned = base.copy()
    aligned[7, 11] += 1e-3
    assert TensorDrift.of("w", base, aligned).relative_norm == pytest.approx(
        float(aligned[7, 11] - 1) / 6e6**0.5
    )


def test_a_block_is_all_its_tensors_together_and_its_worst_cosine():
    parts = [
        TensorDrift.of("still", state(2), state(2)),
        TensorDrift.of("doubled", state(3), 2 * state(3)),
        TensorDrift.of("turned", state(4, (16,)), -state(4, (16,))),
        TensorDrift.of("bias", np.zeros(5), np.ones(5)),
    ]
    norm, least = measure(parts, whole=False)
    base = np.concatenate([state(2).ravel(), state(3).ravel(), state(4, (16,))])
    moved = np.concatenate([state(3).ravel(), 2 * state(4, (16,)), np.ones(5)])
    assert norm.value == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(base))
    assert (least.value, least.num_rows) == (pytest.approx(-1), 3)
    assert [value.metric for value in measure(parts, whole=True)] == [
        "weight_drift_whole",
        "weight_drift_whole_least_cosine",
    ]


def test_an_untouched_model_is_zero_and_says_so():
    norm, least = measure([TensorDrift.of("w", state(), state())], whole=True)
    assert (norm.value, least.value) == (0, 1)
    assert {norm.status, least.status} == {Status.BELOW_NOISE_FLOOR}
    assert norm.reason == "no weight changed"


@pytest.mark.parametrize("base", [np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_weights_without_a_norm_have_no_drift(base):
    values = measure([TensorDrift.of("w", base, np.ones((3, 3)))], whole=False)
    assert {value.status for value in values} == {Status.UNDEFINED}
    assert all(value.value is None for value in values)


def test_rounding_is_that_of_torch():
    torch = pytest.importorskip("torch")
    values = (state() * np.logspace(-30, 30, 40)).astype(np.float32).astype(np.float64).ravel()
    values[:2] = 1 + 2**-8, 1 + 3 * 2**-8  # ties go to the even neighbour
    wanted = torch.from_numpy(values).float().bfloat16().double().numpy()
    np.testing.assert_array_equal(rounded(values, "bfloat16"), wanted)
    np.testing.assert_array_equal(rounded(state()[0], "float16"), state()[0].astype(np.float16))


def test_a_model_that_was_only_stored_in_16_bits_did_not_drift():
    base = state().astype(np.float32)
    stored = rounded(base.ravel().astype(np.float64), "bfloat16").reshape(base.shape)
    only_stored = TensorDrift.of("w", base, stored, "bfloat16")
    norm, _ = measure([only_stored], whole=False)
    assert norm.value == pytest.approx(rounding_floor([only_stored]))
    assert norm.status == Status.BELOW_NOISE_FLOOR
    moved = TensorDrift.of("w", base, stored + 0.1 * state(1), "bfloat16")
    norm, _ = measure([moved], whole=False)
    assert (norm.status, norm.value > 10 * rounding_floor([moved])) == (Status.OK, True)
