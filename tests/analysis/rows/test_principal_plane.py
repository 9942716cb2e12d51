"""The plane in which base and aligned rows are drawn."""

import numpy as np
import pytest

from analysis.rows.principal_plane import PrincipalPlane
from analysis.rows.summary import Reservoir


@pytest.mark.parametrize("d", [6, 40, 200])
def test_the_component_is_the_leading_one_of_what_the_mean_leaves(d):
    """Of 30 prompts, which are 60 rows: more than d, fewer, far fewer."""
    draw = np.random.default_rng(d)
    base, delta = draw.normal(size=(2, 30, d)).astype(np.float32)
    base[:, 1] *= 6
    delta[:, 0] += 3
    numbers = np.arange(30)
    plane = PrincipalPlane.of(Reservoir(rows=delta, prompts=numbers, groups=numbers, base=base))
    both = np.concatenate([base, base + delta]).astype(np.float64)
    both -= both.mean(axis=0)
    unit = delta.mean(axis=0, dtype=np.float64)
    unit /= np.linalg.norm(unit)
    rest = both - np.outer(both @ unit, unit)
    left, lengths, right = np.linalg.svd(rest, full_matrices=False)
    sign = np.sign(right[0, np.argmax(np.abs(right[0]))])
    points = np.stack([both @ unit, sign * left[:, 0] * lengths[0]], axis=1)
    np.testing.assert_allclose(np.concatenate([plane.base, plane.aligned]), points, atol=1e-4)
    assert plane.share == pytest.approx(lengths[0] ** 2 / np.square(lengths).sum())
