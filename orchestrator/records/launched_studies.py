"""Which studies were launched under a root."""

from cluster.disk.disk_faults import ForeignEntry
from cluster.storage import Storage


def known_studies(root: Storage) -> list[str]:
    """List the studies that were launched under this root."""
    return [name for name in root.list("studies") if _is_launched(root, name)]


def _is_launched(root: Storage, name: str) -> bool:
    """Tell whether a name in `studies/` is a launched study; a link is none of ours.

    One that has a ledger was launched, whatever became of its index.
    """
    try:
        return any(root.exists(f"studies/{name}/{part}") for part in ("index.json", "ledger"))
    except ForeignEntry:
        return False
