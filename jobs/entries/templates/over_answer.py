"""Metric over an answer `my_entry`: what is left at the deepest token that many answers reach.

The contract is analysis/estimates/answer_metric.py; a study names it in `over_answer`.
"""

from __future__ import annotations

from analysis.estimates.answer_metric import AnswerMetric, AnswerProfile
from analysis.estimates.evaluation import Measured
from analysis.estimates.intervals import MIN_GROUPS, jackknife


class MyEntry(AnswerMetric):
    """The share of the first token's number that is left. Say its range here."""

    DEFINITION = (
        "v1: {quantity} at the deepest token that answers of five prompt groups reach, as a share "
        "of what it is at the first token of the same answers; delete-group jackknife"
    )
    AXIS_LABEL = "share left at the deepest token"

    def measure(self, profile: AnswerProfile) -> tuple[Measured, str | None]:
        """Return the share, and at which token it is."""
        kept = profile.where_groups_are(MIN_GROUPS)
        shares = kept.shares[-1]
        estimate = jackknife(float(shares[0]), shares[1:], kept.counts)
        measured = Measured(estimate=estimate, num_rows=kept.num_rows[-1], groups=kept.groups)
        return measured, f"at token {kept.depths[-1]} of the answer"
