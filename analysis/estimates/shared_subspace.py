"""The subspace that an objective's δ lies in: leading population axes with most of its energy."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from analysis.estimates.leading_axes import learned_axes
from analysis.rows.spectra import NUM_AXES, Spectra

MOST_ENERGY = 0.9
"""Share of the energy that the axes are to hold."""


def num_axes_of(spectra: Spectra, centred: bool) -> int:
    """Return how many leading axes of the population hold 90 % of its energy, at most ten."""
    axes, _, _ = learned_axes(spectra, centred)
    enough = int(np.searchsorted(np.cumsum(axes.shares), MOST_ENERGY)) + 1
    return int(min(enough, NUM_AXES, spectra.of(centred).axes.shape[1]))


def subspace_of(spectra: Spectra) -> Float64[np.ndarray, "d k"]:
    """Return the orthonormal axes about zero, as all rows give them; which have energy.

    About zero the mean offset is among them, where it holds energy.
    """
    return spectra.of(False).axes[:, : num_axes_of(spectra, False)]
