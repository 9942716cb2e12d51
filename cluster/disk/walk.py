"""What lies below an open folder, as a survey."""

import os
import time

from cluster.disk.unfinished import is_leftover
from cluster.survey import Survey, Unfinished


class Walk:
    """Gathers a survey, folder by folder."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.odd: list[str] = []
        self.empty: list[str] = []
        self.unfinished: dict[str, Unfinished] = {}
        self._now = time.time()

    def survey(self) -> Survey:
        """Return what was found."""
        return Survey(sizes=self.sizes, odd=self.odd, empty=self.empty, unfinished=self.unfinished)

    def below(self, folder: int, inside: str) -> None:
        """Add everything below an open folder; `inside` comes before its names."""
        is_empty = True
        with os.scandir(folder) as entries:
            for entry in entries:
                is_empty = False
                name = inside + entry.name
                try:
                    if entry.is_file(follow_symlinks=False):
                        self.file(entry, name, is_leftover=is_leftover(entry.name))
                    elif entry.is_dir(follow_symlinks=False):
                        self._folder(entry.name, folder, f"{name}/")
                    else:
                        self.odd.append(name)
                except FileNotFoundError:
                    continue  # it vanished meanwhile
        if is_empty and inside:
            self.empty.append(inside.removesuffix("/"))

    def file(self, entry: "os.DirEntry[str]", name: str, *, is_leftover: bool) -> None:
        """Add one plain file."""
        of_file = entry.stat(follow_symlinks=False)
        if is_leftover:
            age_s = self._now - of_file.st_mtime
            self.unfinished[name] = Unfinished(bytes=of_file.st_size, age_s=age_s)
        else:
            self.sizes[name] = of_file.st_size

    def _folder(self, name: str, folder: int, inside: str) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            self.below(descriptor, inside)
        finally:
            os.close(descriptor)
