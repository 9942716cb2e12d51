"""Whether the offset deep in an answer points where it did at the answer's first token."""

from __future__ import annotations

from functools import partial

from analysis.estimates.evaluation import Measured, UnmeasurableError
from analysis.metric import Computation, Metric
from analysis.metrics.mean_cosine import measure_cosine
from analysis.rows.summary import Sample
from analysis.status import Status


class FirstTokenCosine(Metric):
    """`mean_cosine` of the rows at `response-k` and those at `response-0` of the same answers.

    -1 to 1, and 1 at the first token itself; no noise of either mean attenuates it. Rotating both
    together or scaling either changes nothing.
    """

    DEFINITION = (
        "v2: cosine of the mean row at a token of the answer with the mean row at its first token, "
        "of the answers that reach it; inner product and both norms only over pairs of rows of "
        "different prompt groups, missing where a squared norm is not above 0 with and without "
        "each; delete-group jackknife; bands: two random directions, isotropic and of the base "
        "covariance"
    )
    REPORTS = ("first_token_cosine",)
    AXIS_LABEL = "cosine with the mean offset at the first token (-1 to 1)"
    RANGES = {"first_token_cosine": (-1.0, 1.0)}
    NEEDS_FIRST_TOKEN = True
    IN_ALL = False

    def prepare(self, sample: Sample, against: Sample | None, centred: bool) -> list[Computation]:
        """Return what computes each value."""
        return [partial(_measure, sample)]


def _measure(sample: Sample) -> Measured:
    if sample.first_token is None:
        reason = "no token of an answer, or not all rows at response-0 are stored (full_rows)"
        raise UnmeasurableError(reason, Status.NOT_RUN)
    return measure_cosine(sample, sample.first_token)
