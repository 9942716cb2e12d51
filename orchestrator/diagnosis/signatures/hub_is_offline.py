"""The hub is switched off, and something is needed of it."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"OfflineModeIsEnabled|"
    r"outgoing traffic has been disabled|"
    r"offline mode is enabled"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "`deltascale fetch STUDY` brings it on a machine that reaches the hub; or unset HF_HUB_OFFLINE"
)
