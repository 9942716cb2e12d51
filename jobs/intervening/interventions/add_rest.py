"""x + dose * (1 - P) mean δ, P onto another objective's subspace: what is this one's own?"""

from jobs.intervening.interventions.add_shared_part import AddSharedPart


class AddRest(AddSharedPart):
    """The part of the mean offset outside the subspace of another objective's δ, added."""

    DEFINITION = (
        "dose times the part of the mean offset outside the subspace of another objective's "
        "offsets is added"
    )
    MADE = "rest"
