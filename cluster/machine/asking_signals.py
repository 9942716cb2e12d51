"""Signals by which people, schedulers and machines that go down ask a process to end.

SIGTERM comes from whoever stops a machine; SIGHUP from a terminal or connection that is closed;
SIGUSR1 and SIGUSR2 from schedulers, a moment before a job's time is over; SIGXCPU where that is the
time of processors, from schedulers (LSF, Grid Engine) and from the kernel (`ulimit -S -t`).
"""

import signal

ANNOUNCING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
"""Those that come a while before the end."""
REPEATED = (signal.SIGHUP, *ANNOUNCING)
"""Those of which a second one means no more: a terminal that is closed sends SIGHUP, and so does
its shell; the kernel sends SIGXCPU every second."""
ASKING = (signal.SIGINT, signal.SIGTERM, *REPEATED)
"""All of them."""


def ignore_all() -> None:
    """Ignore them in this process, and in those that it starts."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
