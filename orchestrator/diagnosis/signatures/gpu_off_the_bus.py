"""The driver lost a GPU (Xid 79): it does not answer any more."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bXid\b.*?: ?79\b|"
    r"fallen off the bus|"
    r"GPU is lost|"
    r"NVML_ERROR_GPU_IS_LOST|"
    r"Unable to determine the device handle for (?:GPU|gpu)"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "reboot the node (`nvidia-smi` and `dmesg | grep -i xid` show the GPU), and have its "
    "power and riser looked at if it comes again"
)
