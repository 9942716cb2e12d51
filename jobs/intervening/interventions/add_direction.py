"""x + dose * direction at one site."""

from jobs.intervening.intervention import Along


class AddDirection(Along):
    """A direction of the study's choice, added."""

    DEFINITION = "dose times a direction is added"
    MADE = "direction"
    DOSES = (0.25, 0.5, 1.0)
