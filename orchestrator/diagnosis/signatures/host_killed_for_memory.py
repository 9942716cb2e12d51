"""The kernel killed a process because the whole host had no memory left."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"(?<!cgroup )(?<!group )[Oo]ut of memory: Killed process|"
    r"oom-kill:constraint=CONSTRAINT_NONE|"
    r"oom_kill counter of its host rose"
)
FAULT_CLASS = FaultClass.HOST_MEMORY
REMEDY = (
    "wait for the neighbour that holds the memory, or leave more to it: `memory:` of the "
    "profile's nodes; `ps aux --sort=-rss | head` names the largest processes"
)
