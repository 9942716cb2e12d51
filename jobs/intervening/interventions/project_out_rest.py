"""The coordinate along (1 - P) mean δ, brought to the base's mean: alignment without its own."""

from jobs.intervening.interventions.project_out import ProjectOut


class ProjectOutRest(ProjectOut):
    """The coordinate along the rest of the mean offset, brought to its mean in the base."""

    DEFINITION = (
        "dose times what the coordinate along the part of the mean offset outside the subspace of "
        "another objective's offsets exceeds its mean in the base by is taken away"
    )
    MADE = "rest"
