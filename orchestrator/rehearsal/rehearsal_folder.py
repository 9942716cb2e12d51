"""`RehearsalFolder`: where one rehearsal lies. Only what a rehearsal made there is ever deleted."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import class_of_os_error

REHEARSALS = "rehearsals"
"""Folder of the root below which rehearsals lie."""
MARKER = ".deltascale-rehearsal"
"""File that tells a folder of a rehearsal from every other; written when the folder is made."""
_TEXT = "`deltascale rehearse` made this folder, and deletes `root` and `stand-ins` in it.\n"


@dataclass(frozen=True)
class RehearsalFolder:
    """A folder that a rehearsal made for itself."""

    path: Path
    """The folder; `root` and `stand-ins` in it are the rehearsal's, everything else is not."""

    @property
    def root(self) -> Path:
        """Folder of the rehearsal's output root."""
        return self.path / "root"

    @property
    def stand_ins(self) -> Path:
        """Folder of its stand-ins."""
        return self.path / "stand-ins"

    def remove(self) -> None:
        """Delete the rehearsal, and the folder where nothing else is in it."""
        for folder in (self.root, self.stand_ins):
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            if [path.name for path in self.path.iterdir()] == [MARKER]:
                (self.path / MARKER).unlink()
                self.path.rmdir()


@contextmanager
def rehearsal_folder(path: Path) -> Iterator[RehearsalFolder]:
    """Take a folder for a rehearsal: a new one, or one that an earlier rehearsal made.

    A new one goes again where the block ends with a mistake of the user.

    Raises:
        UserError: something is there that no rehearsal made.
        SurroundingsError: it cannot be made.
    """
    folder = RehearsalFolder(path)
    is_new = _make(path)
    if not is_new:
        _require_made_by_rehearsal(folder)
    try:
        yield folder
    except UserError:
        if is_new:
            folder.remove()
        raise


def _make(path: Path) -> bool:
    """Make the folder and mark it; return False where something has its name already."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir()
        (path / MARKER).write_text(_TEXT)
    except OSError as error:
        if error.errno == errno.EEXIST and path.exists():
            return False
        raise SurroundingsError(
            f"the folder of the rehearsal cannot be made: {error.strerror}",
            where=str(path),
            hint="name another with --into",
            fault_class=class_of_os_error(error),
        ) from error
    return True


def _require_made_by_rehearsal(folder: RehearsalFolder) -> None:
    is_marked = (folder.path / MARKER).is_file()
    if is_marked and not any(part.is_symlink() for part in (folder.root, folder.stand_ins)):
        return
    raise UserError(
        "this was not made by a rehearsal, and a rehearsal deletes what is its own",
        where=str(folder.path),
        hint="name a folder that does not exist yet with --into",
    )
