"""A shared library is missing on the node, or is another version than was built for."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"^(?!.*GLIBC).*(?:cannot open shared object file)|"
    r"error while loading shared libraries: (?!.*GLIBC)|"
    r"undefined symbol: \w+|in static TLS block"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "`ldd FILE | grep 'not found'` on that node; install the pinned packages again where its "
    "environment is another (`deltascale doctor`)"
)
