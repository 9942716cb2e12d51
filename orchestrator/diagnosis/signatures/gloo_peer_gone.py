"""Gloo lost the connection to another rank, or waited for it in vain."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"gloo/transport/\S+.*(?:Connection (?:closed|reset) by peer|Connection refused|[Tt]imed out)|"
    r"Timed out waiting \d+ ?ms for (?:recv|send) operation|"
    r"\[.*gloo.*\] .*Connection closed by peer"
)
FAULT_CLASS = FaultClass.COLLATERAL
REMEDY = (
    "the rank that went first has the cause; where none has, see the network between the "
    "nodes (`deltascale doctor`)"
)
