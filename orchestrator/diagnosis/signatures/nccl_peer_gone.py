"""NCCL lost the connection to another rank."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"ncclRemoteError|"
    r"remote process (?:exited|has exited|was terminated)|"
    r"NCCL communicator (?:was aborted|encountered error)|"
    r"NCCL WARN .*(?:Connection (?:closed|reset) by (?:remote )?peer|Broken pipe)|"
    r"ncclSystemError|ncclUnhandledCudaError"
)
FAULT_CLASS = FaultClass.COLLATERAL
REMEDY = (
    "the rank that went first has the cause; where none has, see the network between the "
    "nodes (`deltascale doctor`, NCCL_DEBUG=INFO)"
)
