"""`Outcome`: one behaviour at one position, as a number of every prompt or token, and as a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.evaluation import missing, with_estimate
from analysis.estimates.group_means import estimated_mean
from analysis.estimates.intervals import Estimate
from analysis.measurement import Measurement


def _nothing(kind: type) -> Any:
    return field(default_factory=lambda: np.zeros(0, dtype=kind))


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What was found before it is averaged: interventions pair it with that of another model."""

    metric: str
    """Name of the measurement."""
    definition: str
    """Its written definition."""
    position: str
    """Which tokens it is of."""
    values: Float64[np.ndarray, " items"] = _nothing(np.float64)
    """A share between 0 and 1 of each prompt; of a loss, nats of each token."""
    groups: Int64[np.ndarray, " items"] = _nothing(np.int64)
    """Prompt group of each."""
    is_loss: bool = False
    """Reported as exp of the mean, which is taken in nats."""
    note: str | None = None
    """What to know about a good value."""
    missing: str | None = None
    """Why there is no value; None when there is."""

    def reported(self, estimate: Estimate) -> Estimate:
        """An estimate of the mean on the scale that is reported."""
        if self.is_loss:
            return estimate.map(lambda nats: float(np.exp(nats)))
        return estimate.within(0.0, 1.0)

    @property
    def blank(self) -> Measurement:
        """The measurement without its number."""
        return Measurement(metric=self.metric, definition=self.definition, position=self.position)

    def measured(self) -> Measurement:
        """Return the mean with its delete-group jackknife interval, or why there is none."""
        if self.missing is not None:
            return missing(self.blank, self.missing)
        estimate = self.reported(estimated_mean(self.values, self.groups))
        return with_estimate(self.blank, estimate, self.groups, note=self.note)
