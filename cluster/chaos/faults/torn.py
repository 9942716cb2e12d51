"""Fault `torn`: half of what was to be added to a file is written, and the launch is killed."""

import os
import signal

from cluster.chaos.fault import Moment

HELP = "half of a line is added to the ledger, and the launch is killed; the same command goes on"
POINTS = ("append",)
WHO = ("launch",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Write half, and kill this process."""
    tear = moment.where["tear"]
    assert callable(tear)
    tear()
    os.kill(os.getpid(), signal.SIGKILL)
