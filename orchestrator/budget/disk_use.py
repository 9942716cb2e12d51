"""`DiskUse`: the bytes that the attempts of one study have under the root, finished or not."""

import os
from collections.abc import Iterable
from contextlib import suppress

from cluster.disk.disk_faults import disk_faults
from cluster.storage import Storage
from jobs.artifacts.identity import KEY_LENGTH


class DiskUse:
    """Counts the bytes below `attempts/` that attempts of the study's launches have written.

    What another study's launch wrote and this one reuses is not counted; a file that several names
    have is counted once on a local root.
    """

    def __init__(self, root: Storage) -> None:
        self._root = root
        self._bytes: dict[str, int] = {}
        self._folders: dict[str, str] = {}

    @property
    def bytes(self) -> int:
        """Bytes, as counted last."""
        return sum(self._bytes.values())

    def of_job(self, key: str) -> int:
        """Return the bytes of one job, as counted last."""
        return self._bytes.get(key, 0)

    def count(self, keys: Iterable[str], launches: set[str]) -> None:
        """Count the artifacts of some jobs anew.

        Args:
            keys: keys of the jobs.
            launches: ids of the study's launches, with which the ids of its attempts begin.
        """
        names = {key: key[:KEY_LENGTH] for key in keys}
        if not self._folders.keys() >= set(names.values()):
            self._folders = {
                name: f"artifacts/{kind}/{name}"
                for kind in self._root.list("artifacts")
                for name in self._root.list(f"artifacts/{kind}")
            }
        for key, name in names.items():
            folder = self._folders.get(name)  # of whatever kind it was; a job may have left none
            if folder is not None:
                self._bytes[key] = self._count(f"{folder}/attempts", launches)

    def _count(self, folder: str, launches: set[str]) -> int:
        own = [name for name in self._root.list(folder) if name.rpartition("-")[0] in launches]
        if not self._root.is_local:
            return sum(sum(self._root.sizes(f"{folder}/{name}").values()) for name in own)
        files: dict[tuple[int, int], int] = {}
        for name in own:
            with disk_faults(self._root.url, f"look at {folder}/{name}"):
                place = self._root.path(f"{folder}/{name}")
                for parent, _, names in os.walk(place, onerror=_unless_gone):
                    for file in names:
                        with suppress(FileNotFoundError):  # it was temporary
                            status = os.lstat(f"{parent}/{file}")
                            files[status.st_dev, status.st_ino] = status.st_size
        return sum(files.values())


def _unless_gone(error: OSError) -> None:
    """Raise what keeps a folder from being counted: what it holds counts as spent, seen or not."""
    if not isinstance(error, FileNotFoundError):
        raise error
