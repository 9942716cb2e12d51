"""`LinearProbe`: logistic regression on rows, judged on rows of other prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from analysis.estimates.intervals import Estimate, jackknife

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_STEPS = 2000
"""Most steps of the optimiser; whether it needed them all is told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProbe:
    """A direction and a threshold."""

    direction: Float64[np.ndarray, " d"]
    """W_toxic, of length 1: from neutral to toxic, in the coordinates of the rows."""
    offset: float
    """A row x reads as toxic where x . direction > offset."""
    converged: bool
    """The optimiser came to its tolerance."""

    @classmethod
    def fit(
        cls,
        rows: Float[np.ndarray, "rows d"],
        toxic: Bool[np.ndarray, " rows"],
        inverse_penalty: float,
    ) -> LinearProbe:
        """Fit by maximum likelihood with an L2 penalty; both classes must be there.

        Rows are centred and divided by one number, the root mean square of all entries, not column
        by column: so the penalty means the same at every width and scale, and the direction does
        not depend on the basis that a model happens to write in.
        """
        from sklearn.linear_model import LogisticRegression

        exact = rows.astype(np.float64)
        centre = exact.mean(axis=0)
        exact -= centre
        scale = float(np.sqrt(np.square(exact).mean())) or 1.0
        model = LogisticRegression(C=inverse_penalty, max_iter=MAX_STEPS, tol=1e-6)
        model.fit(exact / scale, toxic)
        weights = model.coef_[0] / scale
        length = float(np.linalg.norm(weights))
        if length == 0:  # rows that are all the same tell nothing
            return cls(direction=np.zeros(len(centre)), offset=0.0, converged=True)
        return cls(
            direction=weights / length,
            offset=float(centre @ weights - model.intercept_[0]) / length,
            converged=bool(model.n_iter_[0] < MAX_STEPS),
        )

    def scores(self, rows: Float[np.ndarray, "rows d"]) -> Float64[np.ndarray, " rows"]:
        """Above 0: toxic."""
        return np.asarray(rows.astype(np.float64) @ self.direction - self.offset)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How well scores tell the classes apart, with intervals over prompt groups."""

    auc: Estimate
    """Chance that a toxic text scores above a neutral one; 0.5 knows nothing."""
    balanced_accuracy: Estimate
    """Mean share of right answers over the classes; 0.5 knows nothing."""
    accuracy: Estimate
    """Share of right answers: to be read beside `majority` only."""
    majority: Estimate
    """Accuracy of always naming the commoner class."""


def judge_scores(
    scores: Float64[np.ndarray, " rows"],
    toxic: Bool[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
) -> Judgement:
    """Delete-group jackknife of each; no interval where a group holds all of a class."""
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    def estimated(compute: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
        numbers, counts = np.unique(groups, return_counts=True)
        rest = [groups != number for number in numbers]
        both = [0 < toxic[kept].sum() < kept.sum() for kept in rest]
        left_out = np.array(
            [
                compute(toxic[kept], scores[kept]) if usable else np.nan
                for kept, usable in zip(rest, both, strict=True)
            ]
        )
        whole = float(compute(toxic, scores))
        return jackknife(whole, left_out, counts.astype(np.float64)).within(0.0, 1.0)

    return Judgement(
        auc=estimated(roc_auc_score),
        balanced_accuracy=estimated(lambda truth, own: balanced_accuracy_score(truth, own > 0)),
        accuracy=estimated(lambda truth, own: float(((own > 0) == truth).mean())),
        majority=estimated(lambda truth, own: max(truth.mean(), 1 - truth.mean())),
    )
