"""The fast network between nodes is out of order: InfiniBand, RoCE, or EFA through libfabric."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bibv_\w+ .*(?:failed|error)|"
    r"\bIBV_(?:WC|EVENT)_\w*(?:ERR|FATAL|DOWN)\w*|"
    r"Got completion from peer .* with (?:status|error)|"
    r"NET/IB ?: .*(?:Got async|unable to|error|failed)|"
    r"\blibfabric\b.*(?:error|fail|unresponsive|No data available)|"
    r"NET/OFI .*(?:[Ee]rror|[Ff]ail|[Uu]nresponsive|Couldn't)|"
    r"(?:fi_cq_readerr|fi_getinfo|fi_domain)\b|"
    r"\befa:?\b.*(?:unresponsive|[Ff]ailed|error)"
)
FAULT_CLASS = FaultClass.NETWORK
REMEDY = (
    "`ibstat`, `ibv_devinfo` or `fi_info -p efa` on each node; EFA wants a security group "
    "that lets its own members through"
)
