"""x + dose * mean δ at one site: how much of the alignment is its mean offset?"""

from collections.abc import Sequence

from jobs.intervening.intervention import Edit, Made, Subject, Target
from jobs.intervening.shifts import along

DEFINITION = "dose times the mean offset between the models is added"
MADE: Made = "mean-offset"
SUBJECT: Subject = "base"
DOSES: tuple[float, ...] = (0.5, 1.0, 2.0)
PLACE: str | None = None


def edits(target: Target, dose: float) -> Sequence[Edit]:
    """Return the edits of one dose."""
    return [along(target, dose)]
