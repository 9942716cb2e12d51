"""A kernel touched memory that is not its own (Xid 13, 31): seldom a fault of the GPU."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"\bXid\b.*?: ?(?:13|31)\b|"
    r"an illegal memory access was encountered|"
    r"cudaErrorIllegalAddress|"
    r"CUDA error: (?:unspecified launch failure|misaligned address|an illegal instruction)|"
    r"CUBLAS_STATUS_EXECUTION_FAILED|CUDNN_STATUS_EXECUTION_FAILED|"
    r"cudaErrorLaunchFailure"
)
FAULT_CLASS = FaultClass.PROGRAM
REMEDY = (
    "run the job again with CUDA_LAUNCH_BLOCKING=1 to see where; if it meets one GPU alone, "
    "`dcgmi diag -r 3` tests it"
)
