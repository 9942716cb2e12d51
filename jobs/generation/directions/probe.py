"""Along W_toxic, a trained probe of the last block: what Lee et al. 2024 steered PPLM with."""

import numpy as np
from jaxtyping import Float64

from jobs.generation.direction import Contrast

DEFINITION = "W_toxic, the probe of the input `toxic`"
NEEDS_PROBE = True


def direction(contrast: Contrast) -> Float64[np.ndarray, " d"]:
    """Return the probe."""
    assert contrast.probe is not None, "the kind makes `toxic` an input"
    return contrast.probe
