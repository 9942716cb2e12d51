"""A service on the network has a fault of its own."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\b50[0234] (?:Server Error|Internal Server Error|Bad Gateway)|"
    r"\b50[34] (?:Service Unavailable|Gateway Time-?out)"
)
FAULT_CLASS = FaultClass.NETWORK
REMEDY = "it passes by itself; the service's status page says more"
