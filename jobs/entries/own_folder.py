"""Reads the folder of entries that a study names: plain Python files of the user's own, as bytes.

Nothing is imported here. A file that another user may have written, or that a link takes from
outside of the folder, is refused: it would run with the rights of whoever plans the study.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from cluster.errors import UserError
from jobs.entries.rooms import require_room

_MOST_BYTES = 1 << 20
"""Bytes of one file of code."""
_MOST_FILES = 1000
_PASSED_OVER = ("__pycache__", "tests")
"""Folders of no entries; those whose names begin with a dot are none, too, and so are files of
tests (`test_*.py`)."""


def read_folder(folder: Path, where: str, *, is_trusted: bool = False) -> Mapping[str, bytes]:
    """Read every file of code of a folder of entries: path in it -> bytes.

    Args:
        folder: the folder.
        where: place in the study that names it.
        is_trusted: True where the user has said that others may write it.

    Raises:
        UserError: it is not there, holds a folder that is no door, or a file that is not the
            user's own, not readable, too large or taken from outside; names the file.
    """
    modules: dict[str, bytes] = {}
    try:
        if not folder.is_dir():
            raise _no_folder(folder, where)
        top = folder.resolve()
        if not is_trusted:
            _require_own(top)
        for file in _files(folder):
            path = file.relative_to(folder).as_posix()
            modules[path] = _read(file, top, is_trusted=is_trusted)
            if len(modules) > _MOST_FILES:
                raise UserError(f"more than {_MOST_FILES} files of code", where=str(folder))
    except OSError as error:
        raise UserError(
            f"the folder of entries cannot be read: {error.strerror}",
            where=f"{where}, {error.filename or folder}",
        ) from None
    return modules


def entry_paths(modules: Mapping[str, bytes], folder: Path) -> list[str]:
    """List the files that are entries: those right in a door's folder, named as entries are.

    Raises:
        UserError: a folder is no door, or a file in a door's folder has no name of an entry.
    """
    entries = []
    for path in sorted(modules):
        room, _, name = path.partition("/")
        if not name or room.startswith("_"):
            continue  # a module of the user's own that entries share
        require_room(room, str(folder / room))
        if name.startswith("_"):
            continue
        if "/" in name:
            raise UserError(
                f"an entry is one file: {room}/{name.partition('/')[0]}.py",
                where=str(folder / path),
                hint="what entries share lies in a file or folder whose name begins with _",
            )
        if not name.removesuffix(".py").isidentifier() or not name[0].islower():
            raise UserError(
                f"{name!r} cannot be the file of an entry",
                where=str(folder / path),
                allowed=["a lower-case name of letters, digits and _, such as my_metric.py"],
            )
        entries.append(path)
    return entries


def _no_folder(folder: Path, where: str) -> UserError:
    beside = folder.parent
    names = [path.name for path in beside.iterdir() if path.is_dir()] if beside.is_dir() else []
    near = get_close_matches(folder.name, names, n=1, cutoff=0.5)
    what = "is no folder" if folder.exists() else "does not exist"
    return UserError(
        f"the folder of entries {folder} {what}",
        where=where,
        hint=f"did you mean {near[0]!r}?"
        if near
        else "`deltascale new --entry metric NAME` writes an entry, its folder and a test",
    )


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of code, sorted; every folder at the top is a door's, or begins with _."""
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = sorted(
            name for name in folders if name not in _PASSED_OVER and not name.startswith(".")
        )
        if Path(place) == folder:
            for name in folders:
                if not name.startswith("_"):
                    require_room(name, str(folder / name))
        elif len(Path(place).relative_to(folder).parts) > 8:
            raise UserError("nested more than 8 folders deep", where=place)
        yield from (Path(place, name) for name in sorted(names) if _is_code(name))


def _is_code(name: str) -> bool:
    is_test = name.startswith("test_") or name == "conftest.py"
    return name.endswith(".py") and not name.startswith(".") and not is_test


def _raise(error: OSError) -> None:
    raise error


def _read(file: Path, top: Path, *, is_trusted: bool) -> bytes:
    try:
        real = file.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        raise UserError("this link leads nowhere", where=str(file)) from None
    if not real.is_relative_to(top):
        raise UserError(
            f"a link takes this file from outside of the folder of entries, from {real}",
            where=str(file),
            hint="copy the file",
        )
    try:
        with open(real, "rb", opener=_open_without_waiting) as stream:
            state = os.fstat(stream.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise UserError("this is not a regular file", where=str(file))
            if not is_trusted:
                _require_owner(state, file)
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", where=str(file)) from None
    if len(data) > _MOST_BYTES:
        raise UserError(f"the file is larger than {_MOST_BYTES >> 20} MiB", where=str(file))
    if not is_trusted:
        for folder in real.parents:
            if folder == top:
                break
            _require_own(folder)
    return data


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _require_own(path: Path) -> None:
    _require_owner(path.stat(), path)


def _require_owner(state: os.stat_result, path: Path) -> None:
    """Refuse what another user owns or may write: it runs with our rights."""
    what = "folder" if stat.S_ISDIR(state.st_mode) else "file"
    if state.st_uid not in (os.getuid(), 0):
        raise UserError(
            f"this {what} of entries belongs to another user, so its code is not run",
            where=str(path),
            hint="copy the folder, or list it under `entries` in your own configuration: "
            "see docs/explanation/security.md",
        )
    others = stat.S_IWOTH | (0 if _is_own_group(state.st_gid) else stat.S_IWGRP)
    if state.st_mode & others:
        raise UserError(
            f"other users may write this {what} of entries, so its code is not run",
            where=str(path),
            hint=f"chmod {'g' if state.st_mode & others & stat.S_IWGRP else ''}"
            f"{'o' if state.st_mode & stat.S_IWOTH else ''}-w {path}",
        )


def _is_own_group(group: int) -> bool:
    """Tell whether a group is the user's private one, as `umask 002` takes for granted."""
    try:
        user = pwd.getpwuid(os.getuid())
        known = grp.getgrgid(group)
    except KeyError:
        return False
    return group == user.pw_gid and known.gr_name == user.pw_name and not known.gr_mem
