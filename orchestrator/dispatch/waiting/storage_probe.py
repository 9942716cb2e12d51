"""Whether the root takes what a job would write to it."""

from contextlib import suppress

from cluster.errors import SurroundingsError
from cluster.storage import Storage

_PROBE_BYTES = 1 << 20
_PROBE_NAME = ".tmp-0000000000000000"
"""Named as an unfinished write: what a launch leaves that is killed meanwhile, `gc` takes."""


def try_to_write(storage: Storage, study: str) -> None:
    """Write a file into the folder of a study, and take it away. Raises SurroundingsError."""
    name = f"studies/{study}/{_PROBE_NAME}"
    try:
        storage.write(name, bytes(_PROBE_BYTES))
    finally:
        with suppress(SurroundingsError):
            storage.remove(name)
