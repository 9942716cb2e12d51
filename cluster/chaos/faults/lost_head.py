"""Fault `lost-head`: the head of the Ray that the launch has started is killed."""

from cluster.chaos.fault import Moment
from cluster.machine.process_family import kill_below

HELP = "the head of the launch's own Ray is killed; of one that it joined, nothing is"
POINTS = ("settle", "submit", "round")
WHO = ("launch",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = True


def strike(moment: Moment) -> None:
    """Kill the head below this process; nothing where there is none."""
    kill_below("gcs_server")
