"""A process that loads data was killed: mostly for want of host memory."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) exited unexpectedly|"
    r"DataLoader worker \(pid \d+\) is killed by signal: (?!Bus error)|"
    r"BrokenProcessPool|process pool (?:was|is) .*broken|terminated abruptly while the future"
)
FAULT_CLASS = FaultClass.LOST_PROCESS
REMEDY = (
    "give the stage more memory (`memory_gb`); `dmesg | grep -i oom` says whether the kernel "
    "killed it"
)
