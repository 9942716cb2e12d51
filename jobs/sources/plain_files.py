"""Files and folders of the user's that a study names: looked at before anybody reads or walks them.

A pipe would be waited for, and a folder such as `/` or a home would be read from end to end.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from cluster.errors import DeltascaleError, UserError
from jobs.sources.disk_fault import fault_of_disk

MOST_FILES = 10_000
"""Files and folders in a folder that is named as a source."""


def require_plain(path: str) -> None:
    """Check that a path is a file, or a folder of files; where nothing is, others say so.

    A URL names nothing on a disk, and passes unless it is too long.

    Raises:
        UserError: it is a pipe, a device or a socket, or holds one; it is a folder that holds much
            more than one source; or it can be no path.
        SurroundingsError: its disk does not answer.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not stat.S_ISDIR(mode):
        _require_file(path, mode)
        return
    home = os.path.expanduser("~")
    if os.path.commonpath([os.path.realpath(path), os.path.realpath(home)]) == os.path.realpath(
        path
    ):
        raise UserError(
            f"{path} is not one source: it is a home, or holds one",
            hint="name the file, or the folder that holds nothing else",
        )
    for inside in inside_of(path):
        with suppress(FileNotFoundError):  # a link to nothing: who wants it says so
            _require_file(inside, os.stat(inside).st_mode)


def inside_of(folder: str) -> list[str]:
    """List all below a folder but folders, sorted.

    Links to folders are followed, as a set is often laid over several disks; not those that lead
    back inside, or to what holds the folder.

    Raises:
        UserError: there is much more than one source, or a folder may not be listed.
        SurroundingsError: its disk does not answer.
    """
    inside = []
    for number, (path, is_folder) in enumerate(_walk(folder)):
        if number >= MOST_FILES:
            raise UserError(
                f"{folder} holds more than {MOST_FILES:,} files, so it is not one source",
                hint="name the file, or the folder that holds nothing else",
            )
        if not is_folder:
            inside.append(path)
    return sorted(inside)


def unreadable(path: str, error: OSError | ValueError) -> DeltascaleError:
    """Make the fault for a path that the operating system does not open, or not now."""
    if (fault := fault_of_disk(path, error)) is not None:
        return fault
    shown = repr(path if len(path) <= 100 else path[:100] + "…")
    if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
        return UserError(f"cannot read {shown}: {error.strerror}")
    return UserError(f"{shown} can be no path: {getattr(error, 'strerror', None) or error}")


def _require_file(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "no file")
        raise UserError(f"{path} is {kind}, not a file with data")


_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _walk(folder: str) -> Iterator[tuple[str, bool]]:
    """Yield everything below a folder, and whether that is a folder."""
    waiting = [(folder, [os.path.realpath(folder)])]
    while waiting:
        place, tops = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    is_folder = entry.is_dir()
                    yield entry.path, is_folder
                    real = os.path.realpath(entry.path) if entry.is_symlink() else None
                    if is_folder and real is None:
                        waiting.append((entry.path, tops))
                    elif is_folder and real and not any(_overlap(real, top) for top in tops):
                        waiting.append((entry.path, [*tops, real]))
        except OSError as error:
            raise unreadable(error.filename or place, error) from None


def _overlap(one: str, other: str) -> bool:
    """Tell whether one of two folders holds the other, or is it."""
    return os.path.commonpath([one, other]) in (one, other)
