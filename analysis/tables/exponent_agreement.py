"""Do exponents over parameters and over width say the same? Whether not, in one sentence.

An exponent over width is two to three times one over parameters, because parameters grow with the
square of the width and the depth grows too. What can be compared is whether 0 is excluded, and the
exponents after that change of variable: over the models fitted, parameters ∝ width ^ slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from analysis.tables.power_laws import SIZES, PowerLaw

ROUNDING = 1e-9
"""Gap between two exponents that are one."""


def disagreement(laws: Sequence[PowerLaw]) -> str | None:
    """Return a sentence where exponents over several counts of size disagree; None where not.

    Args:
        laws: fits of the same values, each over another count of size; refused ones are passed by.
    """
    fitted = [law for law in laws if law.exponent is not None]
    without = [law for law in fitted if not _excludes_zero(law)]
    if 0 < len(without) < len(fitted):
        others = [law for law in fitted if law not in without]
        return f"0 is excluded over {_counts(others)}, not over {_counts(without)}; {_best(fitted)}"
    for first, second in combinations(fitted, 2):
        if _exclude_each_other(first, second):
            pair = _counts([first, second])
            return (
                f"exponents over {pair} exclude each other, the growth of one with the other taken "
                f"into account; {_best(fitted)}"
            )
    return None


def _excludes_zero(law: PowerLaw) -> bool:
    low, high = _ends(law)
    return low > 0 or high < 0


def _exclude_each_other(first: PowerLaw, second: PowerLaw) -> bool:
    """Whether no exponent is in both intervals, the first's as one over the second's count."""
    names = first.size_of.keys()
    are_paired = names == second.size_of.keys() and len(names) >= len(first.sizes)
    if not are_paired or len(first.sizes) != len(second.sizes):
        return False  # models of one width, or of unknown width: the points are not the same
    own, other = ([law.size_of[name] for name in names] for law in (first, second))
    steps = float(np.polyfit(np.log(other), np.log(own), 1)[0])
    (low, high), (other_low, other_high) = _ends(first), _ends(second)
    return max(low * steps - other_high, other_low - high * steps) > ROUNDING


def _ends(law: PowerLaw) -> tuple[float, float]:
    assert law.exponent is not None and law.exponent.low is not None
    assert law.exponent.high is not None
    return law.exponent.low, law.exponent.high


def _counts(laws: Sequence[PowerLaw]) -> str:
    return " and ".join(SIZES[law.against] for law in laws)


def _best(laws: Sequence[PowerLaw]) -> str:
    """Say over which count of size the points lie nearest to their line."""
    scatters = {SIZES[law.against]: law.scatter or 0.0 for law in laws}
    best, *others = sorted(scatters, key=lambda name: scatters[name])
    apart = ", ".join(f"{scatters[name]:.2g}" for name in others)
    return f"the line over {best} fits best (scatter {scatters[best]:.2g}, others {apart})"
