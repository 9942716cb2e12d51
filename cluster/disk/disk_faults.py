"""What a file system answers in place of doing what was asked, as one SurroundingsError each."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass, class_of_os_error

_HINTS = {
    FaultClass.STORAGE_FULL: "free space or raise the quota; the same command goes on from there",
    FaultClass.STORAGE_READ_ONLY: "mount it writable, or choose another root with --root",
    FaultClass.PERMISSION: "the user who runs this must own the root, or may read and write it",
    FaultClass.STORAGE_AWAY: "look after the disk or its server; the same command goes on",
    FaultClass.MISTAKE: "choose another root with --root",
}
_HINTS_BY_NUMBER = {
    errno.EMFILE: "this process may not open more files: raise `ulimit -n`",
    errno.ENFILE: "this machine has no more open files to give",
    errno.ENAMETOOLONG: "choose a shorter name, or a root nearer to `/`",
}


_HINT_OF_ROOT = (
    "look after the disk or its server, and the same command goes on; what stays lost, "
    "`deltascale verify STUDY --repair` makes again"
)


class ForeignEntry(SurroundingsError):
    """A link, folder, pipe or device stands where a file or folder of ours belongs.

    It is neither followed nor opened, written to or deleted.
    """

    default_code = "foreign-entry"
    default_class = FaultClass.MISTAKE


def foreign_entry(url: str, name: str, mode: int, *, wanted: str = "file") -> ForeignEntry:
    """Make the fault for an entry below a root that is none of ours.

    Args:
        url: The root.
        name: The entry, relative to the root.
        mode: Its `st_mode`, not followed.
        wanted: What belongs there.
    """
    return ForeignEntry(
        f"{name} is a {_kind_of(mode)} where a {wanted} of ours belongs",
        where=url,
        hint="move it away; below a root no link is followed, the root itself may be one",
    )


@contextlib.contextmanager
def disk_faults(url: str, doing: str, *, is_question: bool = True) -> Iterator[None]:
    """Turn what the disk of a root does (full, read-only, away) into a SurroundingsError.

    FileNotFoundError passes where it answers a question.
    """
    try:
        yield
    except OSError as error:
        if is_question and isinstance(error, FileNotFoundError):
            raise
        hint = _HINT_OF_ROOT if is_lost(error) else None
        raise fault_of(error, url, doing, hint=hint) from error


def fault_of(error: OSError, url: str, doing: str, *, hint: str | None = None) -> SurroundingsError:
    """Describe one OSError of a file system in one sentence, and say whose fault it is."""
    fault_class = class_of_os_error(error)
    if fault_class is FaultClass.NETWORK:  # its server does not answer
        fault_class = FaultClass.STORAGE_AWAY
    return SurroundingsError(
        f"cannot {doing}: {error.strerror or error}",
        where=url,
        hint=hint or _HINTS_BY_NUMBER.get(error.errno or 0) or _HINTS.get(fault_class),
        fault_class=fault_class,
    )


def is_lost(error: BaseException) -> bool:
    """Tell whether a disk says that it has lost the bytes, by an error or by what it was made of.

    A server that is away may say so, too: nothing is deleted for it that nobody asked to repair.
    """
    number = getattr(error, "errno", None) or getattr(error.__cause__, "errno", None)
    return number in _LOST


def is_unsupported(error: OSError) -> bool:
    """Tell whether a file system says that it does not have what was asked for at all."""
    return error.errno in _UNSUPPORTED


_LOST = frozenset({errno.EIO, errno.EUCLEAN, errno.EBADMSG})
"""A bad block, and what file systems with checksums answer for bytes that are not theirs."""
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def _kind_of(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "pipe, socket or device"


def sync_descriptor(descriptor: int) -> None:
    """Make an open file or folder survive a loss of power, where its file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_unsupported(error):
            raise
