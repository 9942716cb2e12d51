"""x - dose * direction at one site (Lee et al. 2024, table 2)."""

from jobs.intervening.interventions.add_direction import AddDirection


class SubtractDirection(AddDirection):
    """A direction of the study's choice, taken away."""

    DEFINITION = "dose times a direction is taken away"
    SIGN = -1
