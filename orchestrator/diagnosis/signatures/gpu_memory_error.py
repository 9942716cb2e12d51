"""A GPU's memory has errors that it cannot correct (Xid 48, 94, 95, 140; ECC)."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bXid\b.*?: ?(?:48|94|95|140)\b|"
    r"(?i:uncorrectable (?:\w+ )?ecc)|"
    r"cudaErrorECCUncorrectable|"
    r"(?i:double bit ecc error)|"
    r"CUDA error: .*(?:contained|poison)"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "`nvidia-smi -q -d ECC,ROW_REMAPPER` counts the errors; drain the node and reset the GPU, "
    "and have it replaced if they come again"
)
