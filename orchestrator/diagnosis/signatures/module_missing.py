"""A Python package is missing on the node, or is another version."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"ModuleNotFoundError: No module named|"
    r"ImportError: cannot import name|"
    r"PackageNotFoundError"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = "install the same environment on all nodes: `deltascale doctor` compares them"
