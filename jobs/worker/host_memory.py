"""How much host memory this process held at most since it was last asked to begin counting."""

import re
import resource
from contextlib import suppress
from pathlib import Path

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def reset_host_peak() -> None:
    """Start a new measurement, from what is held now; where the system cannot, the old goes on."""
    with suppress(OSError):
        if _CLEAR.exists():
            _CLEAR.write_text("5", encoding="ascii")


def host_peak_bytes() -> int:
    """Return the peak of the whole process since the last reset."""
    with suppress(OSError):
        peak = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.M)
        if peak:
            return int(peak[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
