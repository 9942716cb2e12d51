"""Files and folders of the user's that a study names: looked at before anybody reads or walks them.

A pipe would be waited for, and a folder such as `/` or a home would be read from end to end.
"""

import errno
import os
import stat
from collections.abc import Iterator

from cluster.errors import UserError

MOST_FILES = 10_000
"""Files and folders in a folder that is named as a source."""


def require_plain(path: str) -> None:
    """Check that a path is a file, or a folder of files; where nothing is, others say so.

    A URL names nothing on a disk, and passes unless it is too long.

    Raises:
        UserError: it is a pipe, a device or a socket, or holds one; it is a folder that holds much
            more than one source; or it can be no path.
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
    for number, (inside, inside_mode) in enumerate(_walk(path)):
        if number >= MOST_FILES:
            raise UserError(
                f"{path} holds more than {MOST_FILES:,} files, so it is not one source",
                hint="name the file, or the folder that holds nothing else",
            )
        if not stat.S_ISDIR(inside_mode):
            _require_file(inside, inside_mode)


def unreadable(path: str, error: OSError | ValueError) -> UserError:
    """Make the fault for a path that the operating system does not open."""
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


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    """Yield everything below a folder with its mode; links to folders are not followed."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        mode = entry.stat().st_mode
                    except FileNotFoundError:
                        continue  # a link to nothing
                    yield entry.path, mode
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError as error:
            raise unreadable(error.filename or folder, error) from None
