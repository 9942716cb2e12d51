"""x + dose * P mean δ, P onto another objective's subspace: what of the alignment do both share?"""

from typing import ClassVar

from jobs.intervening.intervention import Along, Made


class AddSharedPart(Along):
    """The part of the mean offset inside the subspace of another objective's δ, added."""

    DEFINITION = (
        "dose times the part of the mean offset inside the subspace of another objective's offsets "
        "is added"
    )
    MADE: ClassVar[Made] = "shared-part"
    DOSES = (0.5, 1.0, 2.0)
