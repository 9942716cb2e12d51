"""Fault `host-memory`: somebody on the machine takes memory for a while."""

import subprocess
import sys

from cluster.chaos.fault import Moment

HELP = (
    "another process takes so much of the machine's memory for 20 s, at most half of what is free"
)
POINTS = ("attempt", "step")
WHO = ("job",)
AMOUNT: float | None = 1.0
UNIT = "GB"
LASTS = False
IS_DRAWN = True

_TAKER = """
import sys, time, psutil
most = psutil.virtual_memory().available // 2
taken = bytearray(b"1") * min(int(float(sys.argv[1]) * 1e9), most)
time.sleep(20)
"""


def strike(moment: Moment) -> None:
    """Start that process, and go on."""
    subprocess.Popen(
        [sys.executable, "-P", "-c", _TAKER, str(moment.amount)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
