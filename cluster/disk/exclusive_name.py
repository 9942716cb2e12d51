"""Giving a finished file its name, unless the name is taken: the fence that records rely on.

Three ways, the first that the file system has. A hard link and a rename that never replaces make
the whole file visible at once. Where neither exists, the name is created exclusively and filled:
then too exactly one writer gets it and nothing is ever written over, but a crash in that moment
leaves a torn file, which readers take for damage.
"""

import contextlib
import ctypes
import errno
import os
from functools import cache

from cluster.disk.disk_faults import is_unsupported, sync_descriptor

_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.EACCES, errno.EXDEV})
"""What file systems without hard links answer, beside "not supported"."""
_RENAME_NOREPLACE = 1


def give_name(temporary: str, name: str, folder: int, data: bytes) -> bool:
    """Give a temporary file its name, in the same folder; False when the name is taken.

    Args:
        temporary: A whole and durable file, which is gone afterwards.
        name: The name it is to have.
        folder: Descriptor of the folder of both.
        data: The bytes of the file.
    """
    try:
        return _link(temporary, name, folder)
    except OSError as error:
        if not is_unsupported(error) and error.errno not in _NO_LINKS:
            raise
    try:
        return _rename(temporary, name, folder)
    except OSError as error:
        if not is_unsupported(error) and error.errno not in _NO_LINKS:
            raise
    return _fill(name, folder, data)


def _link(temporary: str, name: str, folder: int) -> bool:
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        # A server that was asked twice, because its first answer was lost, says that it exists.
        return os.stat(temporary, dir_fd=folder).st_nlink == 2
    return True


def _rename(temporary: str, name: str, folder: int) -> bool:
    rename = _renameat2()
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(temporary), os.fsencode(name)
    if rename(folder, names[0], folder, names[1], _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    raise OSError(number, os.strerror(number), name)


def _fill(name: str, folder: int, data: bytes) -> bool:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o666, dir_fd=folder)
    except FileExistsError:
        return False
    try:
        with open(descriptor, "wb", buffering=0, closefd=False) as stream:
            written = 0
            while written < len(data):
                written += stream.write(data[written:]) or 0
        sync_descriptor(descriptor)
    except OSError:
        # Ours, unless it was taken away as damage meanwhile and the name has another holder.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(name, dir_fd=folder)):
                os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)
    return True


@cache
def _renameat2() -> "ctypes._NamedFuncPointer | None":
    """Return the call of the C library; None where it has none."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    place = (ctypes.c_int, ctypes.c_char_p)
    function.argtypes = (*place, *place, ctypes.c_uint)
    return function
