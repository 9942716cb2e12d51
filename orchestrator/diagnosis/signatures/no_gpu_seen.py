"""No GPU is to be seen where one was planned."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"no CUDA-capable device is detected|"
    r"No CUDA GPUs are available|"
    r"Found no NVIDIA driver on your system|"
    r"NVIDIA-SMI has failed because|"
    r"CUDA driver initialization failed|"
    r"cudaErrorNoDevice"
)
FAULT_CLASS = FaultClass.GPU
REMEDY = (
    "`nvidia-smi` on that node says whether the driver runs; in a container start it with "
    "`--gpus all`, in SLURM ask for GPUs"
)
