"""Ray's memory monitor ended a worker because its node was nearly full."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"killed due to the node running low on memory|"
    r"Ray's monitor killed the call|"
    r"Memory on the node \(IP: [^)]*\) was [\d.]+|"
    r"worker\(s\) (?:were )?killed due to memory pressure"
)
FAULT_CLASS = FaultClass.HOST_MEMORY
REMEDY = (
    "give the stage the memory that it takes (`memory_gb`), so that fewer run beside it; the "
    "message names the largest processes of the node"
)
