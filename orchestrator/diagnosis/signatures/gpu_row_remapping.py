"""A GPU set a row of its memory aside (Xid 63), or could not (Xid 64): it waits for a reset."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bXid\b.*?: ?(?:63|64|92|160)\b|"
    r"(?i:row[ -]?remap\w* (?:failure|pending|event))|"
    r"(?i:dynamic page retirement)"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "drain the node and reset the GPU, which then works without that row; `nvidia-smi -q -d "
    "ROW_REMAPPER` shows what is pending, and a failure means a replacement"
)
