"""The driver in the kernel and its libraries differ: one of them was updated under way."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Driver/library version mismatch|"
    r"unsupported display driver / cuda driver combination|"
    r"API mismatch: the client has the version"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "reboot the node (or reload the driver's modules), so that the kernel runs the driver "
    "that is installed"
)
