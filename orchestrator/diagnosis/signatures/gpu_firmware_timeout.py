"""The processor that runs a GPU's firmware does not answer (Xid 119, 120)."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bXid\b.*?: ?(?:119|120)\b|"
    r"(?i:timeout .*waiting for rpc from gsp)|"
    r"GSP task"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "reboot the node; if it comes again, update the driver, or switch the GSP firmware off "
    "(`NVreg_EnableGpuFirmware=0`)"
)
