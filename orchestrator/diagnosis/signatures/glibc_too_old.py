"""A library was built for a newer system than the node's."""

from cluster.fault_classes import FaultClass

PATTERN = r"(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+'? not found"
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "install the packages on that node's own system (`ldd --version`), or run in a container; "
    "conda's `libstdcxx-ng` mends GLIBCXX"
)
