"""How alike the two models' representations are: linear CKA of base and aligned rows, debiased."""

from __future__ import annotations

from functools import partial
from math import tanh

import numpy as np
from jaxtyping import Float64

from analysis.estimates.evaluation import Measured, UnmeasurableError, require_kept
from analysis.estimates.intervals import jackknife
from analysis.metric import Computation, Metric
from analysis.rows.summary import Sample
from analysis.status import Status

LARGEST = 1 - 1e-12
"""Rows that are alike to rounding have no z: this much short of 1 counts as 1."""


class Cka(Metric):
    """Kornblith et al. 2019, eq. 3, with HSIC_1 of Song et al. 2012, eq. 5, in every place.

    -1 to 1, 0 for independent rows; rotating, shifting or scaling either model's rows changes
    nothing. The plug-in of independent rows is 0.94 at 64 rows of 1,024 dimensions.
    """

    DEFINITION = (
        "v2: linear CKA of base and aligned rows with the unbiased HSIC, over the first kept row "
        "of every prompt; delete-group jackknife of Fisher's z"
    )
    REPORTS = ("cka",)
    AXIS_LABEL = "CKA of base and aligned rows, debiased (at most 1)"
    RANGES = {"cka": (None, 1.0)}

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(_measure_cka, sample)]


def _measure_cka(sample: Sample) -> Measured:
    kept = require_kept(sample)
    if kept.base is None:
        raise UnmeasurableError("the base model's rows are not kept", Status.NOT_RUN)
    if not np.isfinite(kept.base).all():
        raise UnmeasurableError("kept base rows hold NaN or infinity")
    if len(kept.rows) < 4:
        reason = f"{len(kept.rows)} prompts have rows, an unbiased HSIC needs 4"
        raise UnmeasurableError(reason, Status.TOO_FEW_GROUPS)
    base = kept.base.astype(np.float64)
    numbers, owners = np.unique(kept.groups, return_inverse=True)
    member = np.equal.outer(owners, np.arange(len(numbers))).astype(np.float64)
    kernels = _kernel(base), _kernel(base + kept.rows)
    squares = (_hsic(kernels[0], kernels[0], member), _hsic(kernels[1], kernels[1], member))
    inner = _hsic(kernels[0], kernels[1], member)
    if not min(squares[0][0], squares[1][0]) > 0:
        raise UnmeasurableError("a model's rows share no variance", Status.BELOW_NOISE_FLOOR)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = inner / np.sqrt(squares[0] * squares[1])
    # A correlation: its interval is nearly symmetric as z = artanh r (Fisher 1915).
    z = np.arctanh(np.clip(alike, -LARGEST, LARGEST))
    estimate = jackknife(float(z[0]), z[1:], member.sum(axis=0)).map(tanh)
    return Measured(estimate=estimate, num_rows=len(base), groups=numbers.tolist())


def _kernel(rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n n"]:
    """Return inner products of rows about their mean: HSIC_1 does not see it, cancellation does.

    The diagonal is zero.
    """
    centred = rows - rows.mean(axis=0)
    kernel = centred @ centred.T
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(kernel)


def _hsic(
    first: Float64[np.ndarray, "n n"],
    second: Float64[np.ndarray, "n n"],
    member: Float64[np.ndarray, "n groups"],
) -> Float64[np.ndarray, " leave"]:
    """Return HSIC_1 of all rows, then of those outside each group; NaN where under 4 are left."""
    left = np.concatenate([np.ones((len(first), 1)), 1 - member], axis=1)
    rows = left.sum(axis=0)
    sums = first @ left, second @ left
    trace = np.einsum("ij,ij->j", left, (first * second) @ left)
    across = np.einsum("ij,ij,ij->j", left, sums[0], sums[1])
    totals = [np.einsum("ij,ij->j", left, half) for half in sums]
    rows = np.where(rows < 4, np.nan, rows)
    above = trace + totals[0] * totals[1] / ((rows - 1) * (rows - 2)) - 2 * across / (rows - 2)
    return np.asarray(above / (rows * (rows - 3)))
