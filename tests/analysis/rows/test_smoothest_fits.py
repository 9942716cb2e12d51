"""Fits of largest entropy: how long a step is."""

import numpy as np

from analysis.rows.smoothest_fits import ROUNDING, Duals


def halved_in_turn(fit: Duals, prices: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the prices of one fit after its first step that leads down, and its halvings."""
    steps, before = fit._steps(prices, slopes), fit._values(prices)
    allowed = ROUNDING * np.maximum(np.abs(before), 1.0)
    for halvings in range(21):
        length = 0.5**halvings
        tried = prices + length * steps
        if fit._values(tried) <= before + 1e-4 * length * (slopes * steps).sum() + allowed:
            break
    return tried, halvings


def test_a_step_is_the_longest_halving_that_leads_down_or_the_shortest() -> None:
    rng, grid = np.random.default_rng(0), np.geomspace(1e-4, 1e2, 40)
    matrix = np.stack([(grid / grid.max()) ** power for power in (1, 2, 3)])
    matrix = matrix * rng.uniform(0.9, 1.1, (30, 3, 1))
    wanted = matrix @ rng.gamma(0.3, 1.0, 40) * (1 + 2 * rng.standard_normal((30, 3)))
    errors = np.abs(wanted) * np.where(np.arange(30) % 3, 1e-3, 1e-9)[:, None]
    fits = Duals(matrix=matrix, wanted=wanted, errors=errors, prior=np.full(40, 1 / 40))
    prices, seen = np.zeros((30, 3)), set[int]()
    for _ in range(60):
        slopes = fits._slopes(prices, fits.variances(prices))
        moved = fits._moved(prices, slopes)
        for number in range(30):
            one = fits._only(np.array([number]))
            expected, halvings = halved_in_turn(one, prices[[number]], slopes[[number]])
            assert np.array_equal(moved[number], expected[0], equal_nan=True)
            seen.add(halvings)
        prices = moved
    assert {0, 1, 20} <= seen and len(seen) > 6
