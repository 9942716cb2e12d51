"""Which doses all trainings of a comparison reached, and how far each of them went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.dose.clocks import Clocks
from analysis.dose.doses import SCALES, Dose
from analysis.dose.trajectories import trajectories
from analysis.long_table.circumstances import Circumstances
from analysis.measurement import Row

SHARES = (0.25, 0.5, 0.75)
"""Where doses are chosen between both ends of the reach, in logarithms."""
DIGITS = 2
"""Significant digits of a chosen dose."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The doses of one scale that several trainings have in common."""

    name: str
    """Name of the scale."""
    low: float
    """Highest dose of a first snapshot: below it a direction of δ is not known of that training."""
    high: float
    """Least dose of a last snapshot: beyond it that training would be extrapolated."""
    last: Mapping[str, float]
    """Model -> dose at its last snapshot, the least over its trainings."""

    @property
    def doses(self) -> list[Dose]:
        """Doses a quarter, half and three quarters of the way, in logarithms; none: no reach."""
        if not 0 < self.low < self.high:
            return []
        at = [self.low * (self.high / self.low) ** share for share in SHARES]
        rounded = [float(f"{dose:.{DIGITS - 1}e}") for dose in at]
        is_inside = self.low <= min(rounded) and max(rounded) <= self.high
        is_apart = len(set(rounded)) == len(rounded)
        return [Dose.named(self.name, a) for a in (rounded if is_inside and is_apart else at)]


def reaches(
    rows: Iterable[Row],
    circumstances: Mapping[str, Circumstances],
    counts: Callable[[Circumstances], bool],
) -> Sequence[Reach]:
    """Return what trainings have in common on each scale that was measured, in the scales' order.

    Args:
        rows: the long table.
        circumstances: key of a job -> the circumstances of its measurements.
        counts: whether a training is one of those that are compared.
    """
    curves = trajectories(rows, circumstances)
    found = []
    for name, scale in SCALES.items():
        own = [c for c in curves if c.metric == scale.metric and counts(c.about)]
        clocks = Clocks.of(own, Dose.named(name, 1.0))
        of_runs = {c.about.run: (c, d.clock) for c in own if (d := clocks.of_training(c))}
        ends = [
            (str(curve.rows[-1]["model"]), float(clock.doses[1]), float(clock.doses[-1]))
            for curve, clock in of_runs.values()
            if len(clock.doses) > 1
        ]
        if len(ends) == len(of_runs) > 0:
            last: dict[str, float] = {}
            for model, _, most in ends:
                last[model] = min(most, last.get(model, most))
            low = max(least for _, least, _ in ends)
            found.append(Reach(name=name, low=low, high=min(last.values()), last=last))
    return found
