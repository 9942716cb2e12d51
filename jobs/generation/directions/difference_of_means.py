"""From the mean residual of decent answers to that of toxic ones: a probe that is not trained."""

import numpy as np
from jaxtyping import Float64

from jobs.generation.direction import Contrast

DEFINITION = "mean residual of rejected answers minus that of chosen ones, at the pushed layer"
NEEDS_PROBE = False


def direction(contrast: Contrast) -> Float64[np.ndarray, " d"]:
    """Return the difference of both means."""
    return np.asarray(contrast.rejected_mean - contrast.chosen_mean)
