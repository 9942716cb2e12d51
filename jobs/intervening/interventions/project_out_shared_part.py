"""The coordinate along P mean δ, brought to the base's mean: alignment without what both share."""

from jobs.intervening.interventions.project_out import ProjectOut


class ProjectOutSharedPart(ProjectOut):
    """The coordinate along the shared part of the mean offset, brought to its mean in the base."""

    DEFINITION = (
        "dose times what the coordinate along the part of the mean offset inside the subspace of "
        "another objective's offsets exceeds its mean in the base by is taken away"
    )
    MADE = "shared-part"
