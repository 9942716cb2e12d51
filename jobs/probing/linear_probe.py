"""`LinearProbe`: logistic regression on rows, evaluated on rows of other prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from analysis.estimates.intervals import Estimate, jackknife
from analysis.estimates.shares import estimated_share

MAX_STEPS = 2000
"""Most steps of the optimiser; a probe that needs them all is reported as not converged."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProbe:
    """A direction and a threshold that separate toxic from neutral rows."""

    direction: Float64[np.ndarray, " d"]
    """W_toxic, of length 1, from neutral to toxic, in the coordinates of the rows."""
    offset: float
    """Threshold: a row x is classified as toxic where x . direction > offset."""
    length: float
    """Length of the weights that the direction was made of, in 1 / unit of the rows."""
    converged: bool
    """True when the optimiser reached its tolerance."""

    @classmethod
    def fit(
        cls,
        rows: Float[np.ndarray, "rows d"],
        toxic: Bool[np.ndarray, " rows"],
        inverse_penalty: float,
    ) -> LinearProbe:
        """Fit by maximum likelihood with an L2 penalty; both classes must be present.

        Rows are centred and divided by one number, the root mean square of all entries, not column
        by column: so the penalty means the same at every width and scale, and the direction does
        not depend on the basis of the model's residual stream.
        """
        exact = rows.astype(np.float64)
        centre = exact.mean(axis=0)
        exact -= centre
        scale = float(np.sqrt(np.square(exact).mean())) or 1.0
        model = LogisticRegression(C=inverse_penalty, max_iter=MAX_STEPS, tol=1e-6)
        model.fit(exact / scale, toxic)
        weights = model.coef_[0] / scale
        length = float(np.linalg.norm(weights))
        if length == 0:  # all rows are equal
            return cls(direction=np.zeros(len(centre)), offset=0.0, length=0.0, converged=True)
        return cls(
            direction=weights / length,
            offset=float(centre @ weights - model.intercept_[0]) / length,
            length=length,
            converged=bool(model.n_iter_[0] < MAX_STEPS),
        )

    @classmethod
    def released(
        cls,
        weights: Float64[np.ndarray, " d"],
        rows: Float[np.ndarray, "rows d"],
        toxic: Bool[np.ndarray, " rows"],
    ) -> LinearProbe:
        """Take weights that others fitted; a threshold alone is fitted, to the scores of rows."""
        length = float(np.linalg.norm(weights))
        direction = weights / length
        along = cls.fit((rows.astype(np.float64) @ direction)[:, None], toxic, 1e6)
        way = float(along.direction[0])  # -1 where the weights point to the neutral texts
        return cls(
            direction=direction,
            offset=along.offset * way,
            length=length,
            converged=along.converged,
        )

    def scores(self, rows: Float[np.ndarray, "rows d"]) -> Float64[np.ndarray, " rows"]:
        """Return the distance of each row from the threshold; above 0 means toxic."""
        return np.asarray(rows.astype(np.float64) @ self.direction - self.offset)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How well scores separate the classes, with intervals over prompt groups."""

    auc: Estimate
    """Probability that a toxic text scores above a neutral one; 0.5 is chance."""
    balanced_accuracy: Estimate
    """Mean share of right answers over the classes; 0.5 is chance."""
    accuracy: Estimate
    """Share of right answers; compare with `majority`, never alone."""
    majority: Estimate
    """Accuracy of always answering with the commoner class."""


def judge_scores(
    scores: Float64[np.ndarray, " rows"],
    toxic: Bool[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
) -> Judgement:
    """Estimate every figure of a Judgement with a delete-group jackknife interval.

    One that is 1, or 0, has the exact binomial interval of as many texts as the smaller class has:
    so many pairs of a toxic and a neutral text share none, and all agree.
    There is no interval where one group holds all texts of a class.
    """
    numbers, counts = np.unique(groups, return_counts=True)
    others = [groups != number for number in numbers]
    smaller = toxic if 2 * toxic.sum() <= len(toxic) else ~toxic

    def estimate(compute: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
        left_out = np.array(
            [
                compute(toxic[kept], scores[kept]) if 0 < toxic[kept].sum() < kept.sum() else np.nan
                for kept in others
            ]
        )
        whole = float(compute(toxic, scores))
        found = jackknife(whole, left_out, counts.astype(np.float64)).within(0.0, 1.0)
        if found.low is None or whole not in (0.0, 1.0):
            return found
        exact = estimated_share(np.full(smaller.sum(), whole), groups[smaller])
        return replace(found, low=exact.low, high=exact.high)

    return Judgement(
        auc=estimate(roc_auc_score),
        balanced_accuracy=estimate(lambda truth, score: balanced_accuracy_score(truth, score > 0)),
        accuracy=estimate(lambda truth, score: float(((score > 0) == truth).mean())),
        majority=estimate(lambda truth, score: max(truth.mean(), 1 - truth.mean())),
    )
