"""Opening a path through no link in one call of the kernel (`openat2`, Linux 5.6 and later).

A step for every folder costs two calls each, which a launch of many short jobs feels.
"""

import ctypes
import errno
import os
import sys
from functools import cache

_NUMBER = 437
"""Of `openat2`, on every processor that Python runs on."""
_AT_FDCWD = -100
_RESOLVE_NO_SYMLINKS = 0x04
_REFUSED = (errno.ENOSYS, errno.EPERM)
"""What an older kernel, or a container that knows no such call, answers."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_through_no_link(path: str, flags: int) -> int | None:
    """Return a descriptor of what a path names when no link stands in it, nor is it.

    None where nothing is said by that: there is a link, or something else in the way, or the system
    has no such call. Who then goes step by step learns what it is.

    Args:
        path: From `/` on, the root that it begins with included.
        flags: Those of `os.open`; nothing is created.

    Raises:
        FileNotFoundError: nothing has that name, and no link leads there.
    """
    opened = _opener(flags)
    if opened is None:
        return None
    descriptor = opened(path)
    if descriptor >= 0:
        return descriptor
    number = ctypes.get_errno()
    if number == errno.ENOENT:
        raise FileNotFoundError(number, os.strerror(number), path)
    return None


@cache
def _opener(flags: int) -> "_Opener | None":
    """Return what opens with certain flags; None where the kernel does not."""
    if sys.platform != "linux":
        return None
    opener = _Opener(flags)
    tried = opener("/")
    if tried >= 0:
        os.close(tried)
    elif ctypes.get_errno() in _REFUSED:
        return None
    return opener


class _Opener:
    """The call, with everything that is the same each time; the kernel only reads that."""

    def __init__(self, flags: int) -> None:
        how = _How(flags, 0, _RESOLVE_NO_SYMLINKS)
        self._how = how, ctypes.addressof(how)
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.argtypes = (
            *(ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t),
        )
        self._call.restype = ctypes.c_long

    def __call__(self, path: str) -> int:
        return int(
            self._call(_NUMBER, _AT_FDCWD, os.fsencode(path), self._how[1], ctypes.sizeof(_How))
        )
