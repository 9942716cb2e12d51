"""The ranks did not find one another within the time for it."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"[Tt]imed out after .* waiting for clients|"
    r"client socket has timed out after|"
    r"TCPStore.*(?:timeout|timed out)|(?:recvValue|wait timeout).*TCPStore|"
    r"RendezvousTimeoutError|"
    r"not all ranks signed in within"
)
FAULT_CLASS = FaultClass.COLLATERAL
REMEDY = (
    "see whether all nodes reach the first one's ports, by the address that it gives: "
    "`deltascale doctor`"
)
