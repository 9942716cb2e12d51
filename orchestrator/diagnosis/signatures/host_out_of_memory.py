"""The host gave a process no more memory: an allocation failed, nobody was killed."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|"
    r"^(?!.*(?:/torch_\d|static TLS)).*(?i:cannot allocate memory)|"
    r"std::bad_alloc|failed to map segment from shared object(?!: Operation not permitted)|"
    r"^(?:numpy\S*\.)?_?(?:Array)?MemoryError\b|"
    r"Unable to allocate [\d.]+ [KMGT]iB for an array"
)
FAULT_CLASS = FaultClass.OUT_OF_MEMORY
REMEDY = (
    "give the stage more memory (`memory_gb`), or run fewer jobs at once; `free -h` and "
    "`ulimit -v` say what there is"
)
