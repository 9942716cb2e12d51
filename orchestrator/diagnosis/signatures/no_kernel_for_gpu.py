"""Torch, or an extension, was built without code for this GPU."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"no kernel image is available for execution|"
    r"is not compatible with the current PyTorch installation|"
    r"cudaErrorNoKernelImageForDevice"
)
FAULT_CLASS = FaultClass.MISTAKE
REMEDY = (
    "install a torch built for this GPU: `python -c 'import torch; "
    "print(torch.cuda.get_arch_list())'` lists what yours has"
)
