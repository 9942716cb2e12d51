"""Fault `oom`: an accelerator has no memory left for a process of a job."""

from cluster.chaos.fault import Moment

HELP = "a process runs out of its accelerator's memory; the job may be laid out anew"
POINTS = ("step", "attempt")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = False


def strike(moment: Moment) -> None:
    """Raise what torch raises, without torch. Raises RuntimeError."""
    raise RuntimeError(moment.says("CUDA out of memory. Tried to allocate 20.00 GiB"))
