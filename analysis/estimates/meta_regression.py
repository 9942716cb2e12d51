"""A line through numbers of several models: scatter between models, errors that they share.

Random-effects meta-regression: y_s = a + b x_s + u_s + e_s. A model's own number is off the line by
u_s; its estimate is off that by e_s, from prompts. Models answer the same prompts, so the e_s are
correlated, and the part of them that grows with x looks like a slope: no scatter about the line
shows it, the slope without each prompt group does.

The fit and its scatter are PyMARE's: weights 1 / (v_s + τ²), v_s the jackknife variance of y_s, τ²
after DerSimonian and Laird 1986, and the standard error of Knapp and Hartung 2003, *Improved tests
for a random effects meta-regression*, with t(S - 2). PyMARE, as other libraries, takes models for
independent; what is ours is the joint: the half-width of that t, and that of the delete-group
jackknife of the whole fit with t(G - 1), joined in squares (Zou and Donner 2008). The scatter holds
the unshared errors of prompts once more. Taking them off again leaves intervals of four models that
cover in 86 %, because τ² of so few is often 0.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from analysis.estimates.intervals import Estimate, jackknife_variances, student_quantile

LEAST_VARIANCE = 0.01
"""Least v_s, as a share of their mean: estimated from 20 groups, none is that much surer."""

Points = Float64[np.ndarray, " models"]
Shifts = Float64[np.ndarray, "models groups"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A fitted line."""

    slope: Estimate
    """The slope with its 95 % interval, and without each prompt group where that is known."""
    intercept: float
    """Value at x = 0."""
    scatter: float
    """Standard deviation of the points about the line, S - 2 degrees of freedom."""
    slopes_without_one: Points
    """The slope without each model."""


def fit_line(
    x: Points, y: Points, shifts: Shifts | None = None, beside: Points | None = None
) -> Line:
    """Fit a line through one point per model; at least three models.

    Args:
        x: where the models stand, all different.
        y: their numbers.
        shifts: what leaving out each prompt group does to y, the same groups for all models; None
            where that is not known: all models then weigh the same, and the interval knows of the
            scatter about the line alone.
        beside: variances of y that shifts do not show, to be added to those that they do.

    Returns:
        The line.
    """
    with warnings.catch_warnings():  # PyMARE leaves a file open while it is imported
        warnings.simplefilter("ignore", ResourceWarning)
        from pymare.estimators import DerSimonianLaird

    at = x - x.mean()  # logarithms of sizes are far from 0
    known = np.zeros(len(x)) if shifts is None else jackknife_variances(shifts)
    variances = _usable(known if shifts is None or beside is None else known + beside)
    numbers = y[:, None] if shifts is None else np.column_stack([y, y[:, None] + shifts])
    fitted = DerSimonianLaird().fit(
        y=numbers,
        v=np.repeat(variances[:, None], numbers.shape[1], axis=1),
        X=np.column_stack([np.ones(len(x)), at]),
    )
    (centres, slopes), covariances = fitted.params_["fe_params"], fitted.params_["inv_cov"]
    centre, slope = float(centres[0]), float(slopes[0])
    half = student_quantile(len(x) - 2) * float(covariances[1, 1, 0]) ** 0.5
    if shifts is not None:
        error = float(jackknife_variances(slopes[None, 1:])[0]) ** 0.5
        half = float(np.hypot(half, student_quantile(shifts.shape[1] - 1) * error))
    roots = 1 / np.sqrt(variances + float(fitted.params_["tau2"].ravel()[0]))
    without_one = [
        np.polyfit(at[kept], y[kept], 1, w=roots[kept])[0] for kept in ~np.eye(len(x), dtype=bool)
    ]
    left_out = tuple(slopes[1:].tolist())
    return Line(
        slope=Estimate(value=slope, low=slope - half, high=slope + half, left_out=left_out),
        intercept=centre - slope * float(x.mean()),
        scatter=(float(np.square(y - centre - slope * at).sum()) / (len(x) - 2)) ** 0.5,
        slopes_without_one=np.array(without_one),
    )


def _usable(variances: Points) -> Points:
    """Return variances above 0, from those of all models where one has none."""
    if not variances.any():
        return np.ones(len(variances))
    return np.asarray(np.maximum(variances, LEAST_VARIANCE * variances.mean()))
