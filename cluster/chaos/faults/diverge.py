"""Fault `diverge`: the numbers of a training run leave the finite range."""

from cluster.chaos.fault import Moment

HELP = "the weights of a training run become no numbers; the job fails as a run that diverged"
POINTS = ("step",)
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = False


def strike(moment: Moment) -> None:
    """Spoil the weights; does nothing to a job that does not train."""
    spoil = moment.where.get("spoil")
    if callable(spoil):
        spoil()
