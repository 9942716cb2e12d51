"""Fault `lost-node`: what runs the jobs of a node is killed, and its jobs with it."""

import os

from cluster.chaos.fault import Moment
from cluster.machine.process_family import kill_above
from cluster.orphans.launch_label import VARIABLE

HELP = "the raylet of the job's node is killed, and all that runs there; of a joined Ray, none"
POINTS = ("step", "attempt")
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = False


def strike(moment: Moment) -> None:
    """Kill the raylet above this process; nothing where there is none, or others started it."""
    if label := os.environ.get(VARIABLE):
        kill_above("raylet", has=(VARIABLE, label))
