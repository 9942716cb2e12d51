"""`Outcome`: one behaviour at one position, as a number of every prompt or token, and as a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.intervals import Estimate
from jobs.worker.group_estimate import estimated_mean, measured, unmeasured

Row = dict[str, Any]


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

    def as_row(self) -> Row:
        """The measurement: its mean, with a delete-group jackknife interval."""
        row: Row = {
            "metric": self.metric,
            "definition": self.definition,
            "position": self.position,
        }
        if self.missing is not None:
            return row | unmeasured(self.missing)
        estimate = self.reported(estimated_mean(self.values, self.groups))
        return row | measured(estimate, self.groups, self.note)
