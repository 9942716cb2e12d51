"""x + dose * direction at one site, at every position."""

from collections.abc import Sequence

from jobs.intervening.intervention import Edit, Made, Subject, Target
from jobs.intervening.shifts import along

DEFINITION = "dose times a direction is added"
MADE: Made = "direction"
SUBJECT: Subject = "base"
DOSES: tuple[float, ...] = (0.25, 0.5, 1.0)
PLACE: str | None = None


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return [along(target, dose)]
