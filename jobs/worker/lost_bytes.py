"""What an earlier attempt left on a block that the disk has lost since: it counts as not there.

Nobody would bring it back, and a job that waited for it would wait for ever. So it is computed
again, as what a loss of power left half written is.
"""

from cluster.disk.disk_faults import is_lost
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import standing_digest


def read_unless_lost(storage: Storage, name: str) -> bytes | None:
    """Return all bytes of a name; None where nothing is, or where the disk has lost them."""
    try:
        return storage.read(name)
    except FileNotFoundError:
        return None
    except SurroundingsError as fault:
        if not is_lost(fault):
            raise
        return None


def digest_unless_lost(storage: Storage, name: str) -> str | None:
    """Return the digest of a name; None where nothing is, or where the disk has lost it."""
    try:
        return standing_digest(storage, name)
    except SurroundingsError as fault:
        if not is_lost(fault):
            raise
        return None
