"""Direction `my-entry`: from decent to toxic answers, coordinate by coordinate the sign alone.

The contract is jobs/generation/direction.py.
"""

import numpy as np
from jaxtyping import Float64

from cluster.errors import UserError
from jobs.generation.direction import Contrast

DEFINITION = "sign of the mean residual on toxic answers minus that on decent ones"
NEEDS_PROBE = False


def direction(contrast: Contrast) -> Float64[np.ndarray, " d"]:
    """Return a vector from decent to toxic. Raises UserError where both means are equal."""
    signs = np.sign(contrast.rejected_mean - contrast.chosen_mean)
    if not signs.any():
        raise UserError("toxic and decent answers have one mean", where="direction my-entry")
    return np.asarray(signs, dtype=np.float64)
