"""x + dose * mean δ at one site: how much of the alignment is its mean offset?"""

from jobs.intervening.intervention import Along


class AddMeanOffset(Along):
    """The mean offset between the models, added."""

    DEFINITION = "dose times the mean offset between the models is added"
    MADE = "mean-offset"
    DOSES = (0.5, 1.0, 2.0)
