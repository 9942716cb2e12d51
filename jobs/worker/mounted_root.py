"""Is the output root there at all? Beneath a file system that is not mounted lies an empty folder.

What is written there is lost to everybody once the file system is back.
"""

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage

ROOT_FILE = "root.json"
"""What every launch writes into a root before anything else."""


def require_mounted(storage: Storage) -> None:
    """Check that a local root is the one that its launch began on. Costs one look at the disk.

    Raises:
        SurroundingsError: it has no `root.json`; its file system may come back.
    """
    if storage.is_local and storage.size(ROOT_FILE) is None:
        raise SurroundingsError(
            f"the output root is not there: it has no {ROOT_FILE}",
            where=storage.url,
            hint="is its file system mounted?",
            fault_class=FaultClass.STORAGE_AWAY,
        )
