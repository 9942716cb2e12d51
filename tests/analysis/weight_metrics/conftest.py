"""Mean offsets with a known truth."""

import numpy as np
import pytest

from analysis.estimates.mean_offset import MeanOffset


@pytest.fixture(scope="session")
def offset_of():
    """A function: rows of 20 groups about a true mean -> the mean offset."""

    def build(truth, *, noise=0.0, per_group=5, num_groups=20, seed=0, floor=None):
        draw = np.random.default_rng(seed)
        groups = {}
        for group in range(num_groups):
            rows = truth + noise * draw.standard_normal((per_group, len(truth)))
            groups[group] = rows.mean(axis=0), per_group
        return MeanOffset.of_groups(groups, floor)

    return build


@pytest.fixture(scope="session")
def rotation():
    """A function: dimension -> a random rotation."""

    def build(dimension):
        drawn = np.random.default_rng(9).standard_normal((dimension, dimension))
        return np.linalg.qr(drawn)[0]

    return build
