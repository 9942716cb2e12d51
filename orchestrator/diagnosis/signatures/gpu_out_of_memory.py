"""A GPU had no memory left for what a job asked of it, in the words of torch, CUDA and NCCL."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"(?:CUDA|HIP|XPU) out of memory|"
    r"\b(?:torch\.)?(?:cuda\.)?OutOfMemoryError\b(?!.*Ray)(?!.*node)|"
    r"CUDA error: out of memory|"
    r"CUDA_ERROR_OUT_OF_MEMORY|"
    r"cudaErrorMemoryAllocation|"
    r"(?:CUBLAS|CUDNN|CUSPARSE|CUSOLVER)_STATUS_ALLOC_FAILED|"
    r"Cuda failure (?:2 )?'out of memory'|"
    r"Failed to CUDA (?:host )?(?:calloc|alloc|malloc)"
)
FAULT_CLASS = FaultClass.OUT_OF_MEMORY
REMEDY = (
    "`align` and `reference` go on in a smaller layout by themselves; else lower "
    "`token_budget`, or give the stage more GPUs (`num_gpus`); `nvidia-smi` shows who else "
    "holds memory"
)
