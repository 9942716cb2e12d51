"""Per-neuron sums: what they sum to, and that no split of the rows shows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.rows.neurons import NeuronSums

BASE = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
ALIGNED = BASE + np.float32(0.1)


def test_the_sums_give_means_and_spreads_of_both_models():
    sums = NeuronSums.from_rows(BASE, ALIGNED)
    np.testing.assert_allclose(sums.base / 40, BASE.astype(np.float64).mean(axis=0), rtol=1e-12)
    spread = sums.aligned_square / 40 - np.square(sums.aligned / 40)
    np.testing.assert_allclose(spread, ALIGNED.astype(np.float64).var(axis=0), rtol=1e-9)


@given(cut=st.integers(0, 40))
def test_no_split_of_the_rows_shows(cut):
    whole = NeuronSums.from_rows(BASE, ALIGNED)
    parts = NeuronSums.from_rows(BASE[:cut], ALIGNED[:cut]).merge(
        NeuronSums.from_rows(BASE[cut:], ALIGNED[cut:])
    )
    assert parts.num_rows == whole.num_rows
    for name, array in whole.to_arrays().items():
        np.testing.assert_allclose(parts.to_arrays()[name], array, rtol=1e-12)


def test_arrays_hold_all_of_it():
    whole = NeuronSums.from_rows(BASE, ALIGNED)
    again = NeuronSums.from_arrays(whole.to_arrays())
    for name, array in whole.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)
