"""Null data gives null results: random directions and subspaces lie inside their own bands.

Each band claims 95 %: of 200 independent draws 90 to 98 % must be inside it.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from analysis.measurement import Measurement
from analysis.metric import METRICS

captured_energy = METRICS.find("captured_energy")
mean_cosine = METRICS.find("mean_cosine")
subspace_overlap = METRICS.find("subspace_overlap")

pytestmark = pytest.mark.slow

NUM_DRAWS, NUM_ROWS, DIMENSION, NUM_AXES = 200, 60, 32, 10


def _share_inside(values: Iterator[Measurement], band: str) -> float:
    inside = []
    for value in values:
        low, high = getattr(value, f"{band}_low"), getattr(value, f"{band}_high")
        assert value.value is not None and low is not None and high is not None
        inside.append(low <= value.value <= high)
    assert len(inside) == NUM_DRAWS
    return float(np.mean(inside))


def _uncentred(values: list[Measurement], metric: str) -> Measurement:
    return next(each for each in values if each.metric == metric and not each.centred)


def _about(direction: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Rows that all prompts move the same way, up to a little noise."""
    length = float(np.linalg.norm(direction))
    return direction / length + 0.01 * draw.standard_normal((NUM_ROWS, DIMENSION))


def _in_random_subspace(draw: np.random.Generator) -> np.ndarray:
    """Rows that fill a random subspace evenly, up to a little noise."""
    axes = np.linalg.qr(draw.standard_normal((DIMENSION, NUM_AXES)))[0]
    rows = draw.standard_normal((NUM_ROWS, NUM_AXES)) @ axes.T
    return np.asarray(rows + 1e-3 * draw.standard_normal((NUM_ROWS, DIMENSION)))


def test_means_in_random_directions_have_cosines_inside_the_isotropic_band(
    sample_of: Callable[..., object],
) -> None:
    def values() -> Iterator[Measurement]:
        draw = np.random.default_rng(1)
        for _ in range(NUM_DRAWS):
            pair = (_about(draw.standard_normal(DIMENSION), draw) for _ in range(2))
            yield mean_cosine.measure(*(sample_of(rows) for rows in pair))[0]

    assert 0.9 <= _share_inside(values(), "null") <= 0.98


def test_means_in_directions_of_the_base_have_cosines_inside_the_bases_band(
    sample_of: Callable[..., object],
) -> None:
    scale = 1 / np.arange(1, DIMENSION + 1)
    draw = np.random.default_rng(2)
    base = draw.standard_normal((2000, DIMENSION)) * scale

    def sample() -> object:
        rows = _about(draw.standard_normal(DIMENSION) * scale, draw)
        return sample_of(rows, base=draw.permutation(base)[:NUM_ROWS])

    values = (mean_cosine.measure(sample(), sample())[0] for _ in range(NUM_DRAWS))
    assert 0.9 <= _share_inside(values, "base_null") <= 0.98


@pytest.mark.parametrize("rank", [3, DIMENSION])
def test_energy_in_random_subspaces_is_inside_its_band(
    sample_of: Callable[..., object], rank: int
) -> None:
    draw = np.random.default_rng(3)
    rows = draw.standard_normal((NUM_ROWS, rank)) @ draw.standard_normal((rank, DIMENSION))
    sample = sample_of(rows)
    values = (
        _uncentred(
            captured_energy.measure(sample, sample_of(_in_random_subspace(draw))),
            "captured_energy",
        )
        for _ in range(NUM_DRAWS)
    )
    assert 0.9 <= _share_inside(values, "null") <= 0.98


def test_random_subspaces_overlap_inside_their_band(sample_of: Callable[..., object]) -> None:
    draw = np.random.default_rng(4)
    values = (
        _uncentred(
            subspace_overlap.measure(
                sample_of(_in_random_subspace(draw)), sample_of(_in_random_subspace(draw))
            ),
            "subspace_overlap",
        )
        for _ in range(NUM_DRAWS)
    )
    assert 0.9 <= _share_inside(values, "null") <= 0.98
