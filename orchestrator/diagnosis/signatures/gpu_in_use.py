"""A GPU is set to serve one process at a time, and serves another."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"CUDA-capable devices? ?(?:\(s\) is/)?are busy or unavailable|"
    r"cudaErrorDevicesUnavailable"
)
FAULT_CLASS = FaultClass.GPU_TAKEN
REMEDY = "`nvidia-smi` names who uses it and its mode; `nvidia-smi -c DEFAULT` lets several"
