"""The clock that stamps the files of a folder: on a shared file system the server's, not ours."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path


def now_of(folder: Path) -> float | None:
    """Return the time by the clock that stamps files in a folder, in seconds since the epoch.

    A file without a name is written there and gone at once. None where none may be written.
    """
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as probe:
        os.write(probe.fileno(), b"0")  # a client of NFS may stamp what it only creates itself
        os.fsync(probe.fileno())
        return os.fstat(probe.fileno()).st_mtime
    return None


def age_s(path: Path) -> float:
    """Return the seconds since a file was written, 0 at least; by our clock where it must be.

    Raises:
        OSError: there is no such file, or it cannot be looked at.
    """
    written = os.stat(path).st_mtime
    now = now_of(path.parent)
    return max(0.0, (time.time() if now is None else now) - written)
