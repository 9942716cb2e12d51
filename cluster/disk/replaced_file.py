"""A small file that is replaced again and again, for those who look on."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file at once: who reads sees the old text or the new one, never half of it.

    Nothing is synced: it is stale in seconds. One process at a time writes it. Raises OSError.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
