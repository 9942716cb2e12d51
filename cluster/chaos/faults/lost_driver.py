"""Fault `lost-driver`: the process through which the launch speaks to its cluster is killed."""

from cluster.chaos.fault import Moment
from cluster.machine.process_family import kill_below

HELP = "the process that connects the launch with Ray is killed"
POINTS = ("settle", "submit", "round")
WHO = ("launch",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Kill it; nothing where there is none."""
    kill_below("cluster.driver.ray_driver")
