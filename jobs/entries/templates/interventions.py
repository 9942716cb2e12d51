"""Intervention `my-entry`: half a step against the direction, for every step that the dose names.

The contract is jobs/intervening/intervention.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.intervening.intervention import Along, Edit, Target


class MyEntry(Along):
    """The direction, taken away by halves."""

    DEFINITION = "dose / 2 steps of the direction are taken away at every position"
    MADE = "direction"
    DOSES = (1.0, 2.0, 4.0)
    SIGN = -1

    def edits(self, target: Target, dose: float) -> Sequence[Edit]:
        """Return the edits of one dose."""
        return super().edits(target, dose / 2)
