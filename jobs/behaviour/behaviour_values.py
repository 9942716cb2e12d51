"""`BehaviourValues`: a behaviour at one position, a number per prompt or token; and its mean."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.evaluation import missing, with_estimate
from analysis.estimates.group_means import estimated_mean
from analysis.estimates.intervals import Estimate
from analysis.estimates.shares import estimated_rate
from analysis.measurement import Measurement


@dataclass(frozen=True, kw_only=True, eq=False)
class BehaviourValues:
    """A behaviour before it is averaged: interventions pair it with that of another model."""

    metric: str
    """Name of the measurement."""
    definition: str
    """Its written definition."""
    position: str
    """Label of the tokens it is of."""
    values: Float64[np.ndarray, " items"] = field(default_factory=lambda: np.zeros(0))
    """A share between 0 and 1 of each prompt; of a loss, nats of each token."""
    groups: Int64[np.ndarray, " items"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Prompt group of each."""
    left: Float64[np.ndarray, " items"] = field(default_factory=lambda: np.zeros(0))
    """Most by which each number is too low, because counting was stopped; empty where none is."""
    coverage: float | None = None
    """Share of what was to be counted that can be; None where that does not arise."""
    is_rate: bool = False
    """True when each number is 0 or 1: where all prompt groups agree, a jackknife has no width."""
    is_loss: bool = False
    """True when it is reported as exp of the mean, which is taken in nats."""
    note: str | None = None
    """What to know about a good value."""
    missing: str | None = None
    """Why there is no value; None when there is."""

    def reported(self, estimate: Estimate) -> Estimate:
        """Convert an estimate of the mean to the scale that is reported."""
        if self.is_loss:
            return estimate.map(lambda nats: float(np.exp(nats)))
        return estimate.within(0.0, 1.0)

    @property
    def mean_left(self) -> float | None:
        """Most by which the mean is too low; None where numbers are whole."""
        return float(self.left.mean()) if len(self.left) else None

    def estimate(self) -> Estimate:
        """Return the mean with its interval, which holds what may have been left out."""
        make = estimated_rate if self.is_rate else estimated_mean
        estimate = self.reported(make(self.values, self.groups))
        if not self.left.any():
            return estimate
        highest = self.reported(estimated_mean(self.values + self.left, self.groups))
        return replace(estimate, high=highest.high)

    @property
    def blank(self) -> Measurement:
        """The measurement without its number."""
        return Measurement(
            metric=self.metric,
            definition=self.definition,
            position=self.position,
            coverage=self.coverage,
        )

    def measured(self) -> Measurement:
        """Return the mean with its interval over prompt groups, or why there is none."""
        if self.missing is not None:
            return missing(self.blank, self.missing)
        blank = replace(self.blank, uncounted=self.mean_left)
        return with_estimate(blank, self.estimate(), self.groups, note=self.note)
