"""`FaultClass`: whose fault it is that something failed, in one vocabulary for the whole house.

Executors, storage and workers name the class of what they met; `orchestrator/records/failure.py`
decides what each class costs a job and what is waited for.
"""

import errno
from enum import Enum


class FaultClass(Enum):
    """Whose fault a failure is. The values are written into ledgers: they never change."""

    MISTAKE = "mistake"
    """The user's: only a change of the study, its data or its models can help."""
    PROGRAM = "program"
    """The job's own program raised an error that it did not foresee."""
    OUT_OF_MEMORY = "out-of-memory"
    """The job's own: a device or host was too small for it as it was laid out."""
    HUNG = "hung"
    """The job's own: it made no progress for longer than it may."""
    DIVERGED = "diverged"
    """The job's own: its numbers left the finite range, or it learned nothing."""
    HOST_MEMORY = "host-memory"
    """A neighbour took the host's memory, and the job was killed for it."""
    LOST_PROCESS = "lost-process"
    """The job's process died, and its node lives."""
    LOST_NODE = "lost-node"
    """The node died, or cannot be reached any more."""
    CLUSTER = "cluster"
    """The cluster itself (Ray's head) is gone, and every call on it with it."""
    PREEMPTED = "preempted"
    """The machine was wanted back."""
    GPU = "gpu"
    """An accelerator is out of order (Xid, ECC, fallen off the bus)."""
    GPU_TAKEN = "gpu-taken"
    """Processes that are none of ours hold the memory of an accelerator."""
    PORT = "port"
    """A network port that the job wanted is in use."""
    COLLATERAL = "collateral"
    """Another rank of the same attempt failed first."""
    STORAGE_FULL = "storage-full"
    """A disk or quota has no room left."""
    STORAGE_AWAY = "storage-away"
    """The storage does not answer, answers errors that pass, or gives stale handles."""
    STORAGE_READ_ONLY = "storage-read-only"
    """The storage takes no writes now."""
    PERMISSION = "permission"
    """The storage, hub or service refuses these credentials or this user."""
    NETWORK = "network"
    """A hub or another service on the network does not answer."""
    NO_ROOM = "no-room"
    """Others hold what the job needs of these machines."""
    UNKNOWN = "unknown"
    """Nothing is known about whose fault it is."""


def class_of_os_error(error: OSError) -> FaultClass:
    """Return the class of an error of a file system, by its number; UNKNOWN where none fits."""
    if isinstance(error, ConnectionError | TimeoutError):
        return FaultClass.NETWORK
    return _BY_NUMBER.get(error.errno or 0, FaultClass.UNKNOWN)


_AWAY = (
    *(errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EBUSY),
    *(errno.ENXIO, errno.ENODEV, errno.ESHUTDOWN, errno.ECOMM, errno.EPROTO, errno.ENOLINK),
    *(errno.ENOLCK, errno.EUCLEAN, errno.EBADMSG, errno.EMFILE, errno.ENFILE),
)
_MISTAKES = (
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EFBIG),
    *(errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV),
)
"""The choice of the root or of a name: another one helps, waiting does not."""
_BY_NUMBER = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), FaultClass.STORAGE_FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM), FaultClass.PERMISSION),
    **dict.fromkeys(_AWAY, FaultClass.STORAGE_AWAY),
    **dict.fromkeys(_MISTAKES, FaultClass.MISTAKE),
    **dict.fromkeys((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN), FaultClass.NETWORK),
    errno.EROFS: FaultClass.STORAGE_READ_ONLY,
    errno.EADDRINUSE: FaultClass.PORT,
    errno.ENOMEM: FaultClass.OUT_OF_MEMORY,
}
