"""How much of one condition's offsets lies in the leading subspace of another's."""

from __future__ import annotations

from functools import cache, partial
from math import inf
from operator import attrgetter

import numpy as np
from jaxtyping import Float64

from analysis.estimates import evaluation
from analysis.estimates.captured_energies import Captured, capture_energies
from analysis.estimates.intervals import Estimate, jackknife
from analysis.estimates.leading_energies import (
    Along,
    find_leading,
    fix_axes,
    measure_leading,
    measure_leading_ratio,
    vary_axes,
)
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status


class CapturedEnergy(Metric):
    """Shares of energy: k/d is no null, the share of the condition that the axes are of is.

    Few rows teach axes that miss part of the true ones. The first three are of the axes that
    infinitely many rows would give; those called learned are of the axes as these rows gave them,
    and fall with their number, for both conditions alike. 0 to 1, the ratios above 0; rotating both
    conditions together or scaling either changes nothing.
    """

    DEFINITION = (
        "v8: share of squared norm in the other condition's top min(10, d) population axes, solved"
        " for from the energies along axes learned without group g, pooled over g, by how axes of "
        "so many rows, as unequal, of its population eigenvalues lie, half way between two "
        "models of the rest and another spectrum that fits; _heldout: of the other condition "
        "itself, by the same axes; _ratio: of the two; interval: delete-group jackknife, learned "
        "axes held fixed or learned again, the wider, and what these differ by, with what lies "
        "beside the leading axes far away or next to them, too, and 3 % of the value, and 1 where "
        "rows teach fewer axes than are meant; _learned…: in the axes as "
        "learned, that jackknife alone; centred: rows minus the mean of the groups but g; bands: "
        "a random subspace, and base rows in the axes of base rows of the other half of the groups"
    )
    REPORTS = (
        "captured_energy",
        "captured_energy_heldout",
        "captured_energy_ratio",
        "captured_energy_learned",
        "captured_energy_learned_heldout",
        "captured_energy_learned_ratio",
    )
    AXIS_LABEL = "share of energy in the other condition's top 10 axes (0 to 1)"
    RANGES = {
        **dict.fromkeys(REPORTS, (0.0, 1.0)),
        **dict.fromkeys(("captured_energy_ratio", "captured_energy_learned_ratio"), (0.0, None)),
    }
    HEADLINES = {"captured_energy_ratio": 180}
    NEEDS_AGAINST = True
    IS_SPECTRAL = True

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        captured = cache(partial(capture_energies, sample, against, centred))
        varied = cache(lambda: vary_axes(captured(), sample, against, centred))
        leading = cache(
            lambda: [
                find_leading(captured(), along, against, centred)
                for along in (varied(), fix_axes(captured()))
            ]
        )
        return [
            lambda: measure_leading(captured()[0], leading(), attrgetter("own")),
            lambda: measure_leading(captured()[1], leading(), attrgetter("heldout")),
            lambda: measure_leading_ratio(*captured(), leading()),
            lambda: _measure_share(captured()[0], varied()[0]),
            lambda: _measure_share(captured()[1], varied()[1]),
            lambda: _measure_ratio(*captured(), varied()),
        ]


def _measure_share(captured: Captured, varied: Along) -> evaluation.Measured:
    """Measure the share in axes as learned, these held fixed, or learned again if that says more.

    Which rows happen to have taught the axes moves the share as well, and most where they are few.
    """
    again = np.array([float(along.sum()) for along in varied])
    estimate = _wider(captured.share, captured.shares_left, again, captured.counts)
    return evaluation.Measured(
        estimate=estimate.within(0.0, 1.0),
        num_rows=int(captured.counts.sum()),
        groups=captured.numbers[captured.counts > 0].tolist(),
        null=captured.null,
        base_null=captured.base_null,
    )


def _measure_ratio(
    sample: Captured, other: Captured, varied: tuple[Along, Along]
) -> evaluation.Measured:
    """Measure the ratio of both conditions' shares in axes as learned, by the same two ways."""
    if not other.share > 0:
        reason = "the other condition's own held-out share is zero"
        raise evaluation.UnmeasurableError(reason, Status.BELOW_NOISE_FLOOR)
    own, beside = (np.array([float(along.sum()) for along in half]) for half in varied)
    with np.errstate(divide="ignore", invalid="ignore"):
        fixed, again = sample.shares_left / other.shares_left, own / beside
    counts = sample.counts + other.counts
    estimate = _wider(sample.share / other.share, fixed, again, counts).within(0.0, inf)
    num_rows, groups = int(sample.counts.sum()), sample.numbers.tolist()
    return evaluation.Measured(estimate=estimate, num_rows=num_rows, groups=groups)


def _wider(
    value: float,
    fixed: Float64[np.ndarray, " groups"],
    again: Float64[np.ndarray, " groups"],
    counts: Float64[np.ndarray, " groups"],
) -> Estimate:
    """Estimate by jackknife with axes held fixed, out to that with axes learned again."""
    filled = counts > 0
    estimate, other = (
        jackknife(value, left_out[filled], counts[filled]) for left_out in (fixed, again)
    )
    return estimate.joined(other)
