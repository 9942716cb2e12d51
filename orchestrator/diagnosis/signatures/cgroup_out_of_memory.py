"""The kernel killed a process because its container or batch job had no memory left."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"Memory cgroup out of memory|"
    r"oom-kill:constraint=CONSTRAINT_MEMCG|"
    r"oom_kill counter of its memory group rose"
)
FAULT_CLASS = FaultClass.OUT_OF_MEMORY
REMEDY = (
    "ask for more memory: `memory:` of the profile's nodes, or of the container; or run fewer "
    "jobs on a node"
)
