"""The NVIDIA driver is older than the CUDA that torch was built for."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"CUDA driver version is insufficient|"
    r"NVIDIA driver on your system is too old|"
    r"cudaErrorInsufficientDriver|"
    r"forward compatibility was attempted on non supported HW"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "install a newer driver on the node, or torch for an older CUDA (`pip install torch "
    "--index-url …`); `nvidia-smi` prints the newest CUDA that the driver takes"
)
