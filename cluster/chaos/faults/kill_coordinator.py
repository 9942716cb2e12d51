"""Fault `kill-coordinator`: the launch itself is killed; the same command goes on."""

import os
import signal

from cluster.chaos.fault import Moment

HELP = "the launch itself is killed; the same command goes on"
POINTS = ("settle", "submit", "round", "write", "written")
WHO = ("launch",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
