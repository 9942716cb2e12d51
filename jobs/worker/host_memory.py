"""How much host memory this process held at most since it was last asked to begin counting."""

import os
import re
import resource
from contextlib import suppress

_CLEAR, _STATUS = "/proc/self/clear_refs", "/proc/self/status"
_MOST_BYTES = 1 << 16


def reset_host_peak() -> None:
    """Start a new measurement, from what is held now; where the system cannot, the old goes on."""
    with suppress(OSError):
        descriptor = os.open(_CLEAR, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"5")
        finally:
            os.close(descriptor)


def host_peak_bytes() -> int:
    """Return the peak of the whole process since the last reset."""
    with suppress(OSError):
        descriptor = os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            peak = re.search(rb"^VmHWM:\s+(\d+) kB", os.read(descriptor, _MOST_BYTES), re.M)
        finally:
            os.close(descriptor)
        if peak:
            return int(peak[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
