"""The user, or the container, may have no more processes or threads."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"pthread_create failed|"
    r"can't start new thread|"
    r"(?i:fork\b.*resource temporarily unavailable)|"
    r"thread_init: pthread_create|"
    r"BlockingIOError: \[Errno 11\]|"
    r"libgomp: Thread creation failed"
)
FAULT_CLASS = FaultClass.PROGRAM
REMEDY = (
    "raise the limit (`ulimit -u`, `pids.max` of the container), or run fewer jobs at once; "
    "`ps -eLf -u $USER | wc -l` counts"
)
