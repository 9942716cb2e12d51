"""Fault `kill-rank`: a process of a job is killed, as by somebody's `kill -9`."""

import os
import signal

from cluster.chaos.fault import Moment

HELP = "a process of a job is killed; of several ranks, one at random"
POINTS = ("step", "attempt", "publish", "published", "write", "written")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
