"""A collective operation of NCCL took too long: another rank is late, stuck or gone."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Watchdog caught collective operation timeout|"
    r"Some NCCL operations have failed or timed out|"
    r"ProcessGroupNCCL.*(?:watchdog thread|heartbeat monitor).*(?:timed? ?out|terminated)|"
    r"\[Rank \d+\].*ran for \d+ milliseconds before timing out"
)
FAULT_CLASS = FaultClass.COLLATERAL
REMEDY = (
    "look at the rank that is named first, and at the stacks beside the attempt; where none "
    "has a fault of its own, the network between the nodes (`deltascale doctor`)"
)
