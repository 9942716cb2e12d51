"""The ranking against all cosines at once, and the SVD against the library's own."""

import numpy as np
import pytest
from scipy.linalg import svd

from jobs.probing.toxic_value_vectors import find_shared_directions, rank_value_vectors

LAYERS, NEURONS, D = 3, 50, 8


@pytest.fixture
def vectors():
    found = np.random.default_rng(0).standard_normal((LAYERS, NEURONS, D)).astype(np.float32)
    found[1, 10] = 0
    return found


DIRECTION = np.random.default_rng(1).standard_normal(D) * 3


def test_the_first_are_those_of_the_largest_cosines_of_all_layers(vectors):
    found = rank_value_vectors(DIRECTION, LAYERS, lambda layer: vectors[layer], 20)
    flat = vectors.reshape(-1, D).astype(np.float64)
    with np.errstate(invalid="ignore"):
        cosines = flat @ DIRECTION / np.linalg.norm(flat, axis=1) / np.linalg.norm(DIRECTION)
    order = np.argsort(-np.nan_to_num(cosines, nan=-2))[:20]
    np.testing.assert_array_equal(found.layers * NEURONS + found.neurons, order)
    np.testing.assert_allclose(found.cosines, cosines[order], rtol=1e-6)
    np.testing.assert_array_equal(found.vectors, flat[order].astype(np.float32))


def test_lengths_of_vectors_do_not_matter_and_zero_vectors_are_never_toxic(vectors):
    lengths = np.random.default_rng(2).uniform(0.1, 9, (LAYERS, NEURONS, 1)).astype(np.float32)
    first, second = (
        rank_value_vectors(DIRECTION, LAYERS, lambda layer, of=of: of[layer], 10_000)
        for of in (vectors, vectors * lengths)
    )
    np.testing.assert_array_equal(first.neurons, second.neurons)
    assert len(first.neurons) == LAYERS * NEURONS - 1
    assert np.isfinite(first.cosines).all()


def test_shared_directions_are_singular_vectors_on_the_side_of_the_probe(vectors):
    found = rank_value_vectors(DIRECTION, LAYERS, lambda layer: vectors[layer], 20)
    shared = find_shared_directions(found, DIRECTION, 5)
    _, strengths, rows = svd(found.vectors.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(shared.singular_values, strengths[:5], rtol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(shared.directions * rows[:5], axis=1)), 1, rtol=1e-9)
    assert (shared.directions @ DIRECTION >= 0).all() and (shared.cosines >= 0).all()
    turned = find_shared_directions(found, -DIRECTION, 5)
    np.testing.assert_allclose(turned.directions, -shared.directions)


def test_no_more_directions_than_the_vectors_have(vectors):
    vectors[:] = vectors[0, 0]
    found = rank_value_vectors(
        vectors[0, 0].astype(np.float64), LAYERS, lambda layer: vectors[layer], 4
    )
    assert len(find_shared_directions(found, DIRECTION, 10).directions) == 1
