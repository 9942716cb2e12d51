"""A kernel's own check failed: mostly a token id or label outside its table."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"device-side assert triggered|"
    r"cudaErrorAssert\b|"
    r"Indexing\.cu:\d+: .*Assertion"
)
FAULT_CLASS = FaultClass.PROGRAM
REMEDY = (
    "compare the vocabularies of model and tokenizer, and the data's ids; "
    "CUDA_LAUNCH_BLOCKING=1 names the line"
)
