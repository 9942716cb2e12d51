"""A network port that was chosen is in use."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bEADDRINUSE\b|"
    r"(?i:address already in use)"
)
FAULT_CLASS = FaultClass.PORT
REMEDY = "it is tried again by itself; `ss -ltnp` names who has the port"
