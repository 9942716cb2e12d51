"""What an earlier attempt left, and the disk has lost since or another user keeps to himself.

It counts as not there: a job that waited for it would wait for ever. So it is computed again, as
what a loss of power left half written is.
"""

import os

from cluster.disk.disk_faults import is_lost
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, standing_digest


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


def may_look_into(artifact: Artifact, attempt: str) -> bool:
    """Tell whether this user may look into an attempt; a remote root is asked for what it holds."""
    if not artifact.storage.is_local:
        return True
    try:
        with os.scandir(f"{artifact.storage.url}/{artifact.attempt_folder(attempt)}"):
            return True
    except PermissionError:
        return False
    except OSError:
        return True  # whoever opens it says what is wrong
