"""Memory that processes share (/dev/shm) is too small: a write met SIGBUS, or was refused."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"insufficient shared memory|"
    r"out of shared memory|"
    r"\bBus error\b|"
    r"\bSIGBUS\b|"
    r"No space left on device.*/dev/shm|/dev/shm.*No space left on device|"
    r"(?i:unable to (?:open|write|resize|mmap|allocate)\S* .*(?:shared memory|/torch_\d))|"
    r"creating shared memory segment /dev/shm"
)
FAULT_CLASS = FaultClass.OUT_OF_MEMORY
REMEDY = (
    "give the container more (`docker run --shm-size=16g`, an `emptyDir` with `medium: "
    "Memory`), or set `workers: 0`; `df -h /dev/shm` shows it; without a container, a file "
    "that was cut while it was mapped does the same"
)
