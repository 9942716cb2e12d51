"""A link between GPUs is out of order (Xid 74, 137, 144 to 150), or the manager of the links is."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bXid\b.*?: ?(?:74|137|14[4-9]|150)\b|"
    r"(?i:uncorrectable nvlink)|"
    r"(?i:nvlink: fatal error)|"
    r"CUDA error: system not yet initialized|"
    r"(?i:fabric manager .*(?:not running|failed))"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "`nvidia-smi nvlink -s` shows the links, `systemctl status nvidia-fabricmanager` their "
    "manager; drain the node and reset its GPUs"
)
