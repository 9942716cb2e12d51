"""The last boundary: what a user is told of a fault that no verb has turned into a message.

A fault of the operating system is one sentence and exit code 3. Anything else is a fault of this
program: one sentence, exit code 70, and a file with the stack for whoever mends it.
"""

import contextlib
import errno
import os
import stat
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from cluster.disk.written_path import expanded
from cluster.errors import DeltascaleError, OutOfMemory, SurroundingsError, UserError
from cluster.fault_classes import FaultClass, class_of_os_error
from cluster.machine.import_faults import ImportFault, import_fault
from jobs.entries.own_entries import describe, line_of

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a disk that holds no more, or no more of this user."""
_OF_THE_NETWORK = (ConnectionError, TimeoutError)
_HINTS = {
    errno.EMFILE: "raise the limit of open files: `ulimit -n 65536`",
    errno.ENAMETOOLONG: "a path or a part of it is longer than the file system allows",
    errno.ESTALE: "the file system was mounted anew or its server restarted; try again",
    errno.EIO: "the disk or its network is at fault; try again, and look at the machine's log",
    errno.EROFS: "the file system is mounted read-only",
    **dict.fromkeys(_FULL, "make room, or choose a root on another disk with --root"),
}
_CRASHES = "crashes"
"""Folder of a root that holds one file per crash."""
_LONGEST_FRAMES = 60
"""Frames of a stack that are written: of an endless recursion the same ones repeat."""


class UnforeseenFault(DeltascaleError):
    """A fault of this program."""

    default_code = "program-fault"
    exit_code = 70


class Interrupted(DeltascaleError):
    """Ctrl-C outside a launch, or a second one inside it."""

    default_code = "interrupted"
    exit_code = 130


def fault_of(error: BaseException, words: Sequence[str], root: str | None) -> DeltascaleError:
    """Make the fault that a user is told of an exception that reached the command line.

    Args:
        error: what was raised.
        words: the command line, after the program's name.
        root: the output root that was asked for, when that is known; a local one that is ours
            keeps the stack of a crash.
    """
    if isinstance(error, DeltascaleError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted; the same command resumes")
    if isinstance(error, MemoryError):
        return OutOfMemory(
            "this process ran out of memory", hint="close other programs, or raise its limit"
        )
    if isinstance(error, OSError) and (error.errno or isinstance(error, _OF_THE_NETWORK)):
        return _of_the_system(error)
    imported = import_fault(error, os.environ)
    if imported is not None and imported.is_certain:
        return _of_the_environment(error, imported)
    own = line_of(error)
    return _of_own_code(error, own) if own else _of_the_program(error, words, root)


@contextlib.contextmanager
def left_to_the_ending(has_failed: bool, root: str, warn: Callable[[str], None]) -> Iterator[None]:
    """Warn of views that cannot be made, where the ending of a launch tells of failed jobs anyway.

    What a comparison's job failed for, the same view fails for: its words must not be the last.

    Args:
        has_failed: whether jobs have failed; else the fault is raised.
        root: the output root, for the stack of a fault of this program.
        warn: hears the fault in a sentence.
    """
    try:
        yield
    except SurroundingsError:
        raise
    except Exception as error:
        if not has_failed:
            raise
        warn(f"a view could not be made: {fault_of(error, ['launch'], root)}")


def _of_the_system(error: OSError) -> SurroundingsError:
    if error.errno == errno.ENOENT and error.filename is None and _is_working_folder_gone():
        return SurroundingsError(
            "the working folder was deleted",
            where="this shell's folder",
            hint="`cd` to a folder that is there",
        )
    # A pipe, a socket or standard output has no name.
    is_full, place = error.errno in _FULL, error.filename
    return SurroundingsError(
        f"{'cannot write: ' if is_full else ''}{error.strerror or error}",
        where=str(place) if place else "standard output" if is_full else None,
        hint=_HINTS.get(error.errno or 0) if place or not is_full else None,
        fault_class=class_of_os_error(error),
    )


def _of_the_environment(error: BaseException, imported: ImportFault) -> UserError:
    from cluster.redaction.redactor import redacted

    told = " ".join(redacted(str(error)).split()) or type(error).__name__
    return UserError(
        f"{imported}: {told[:300]}",
        where="environment of this process",
        hint="mend or unset it",
    )


def _of_own_code(error: BaseException, line: str) -> UserError:
    from cluster.redaction.redactor import redacted

    return UserError(
        f"the study's own code fails: {redacted(describe(error))[:300]}", where=f"entries/{line}"
    )


def _is_working_folder_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _of_the_program(
    error: BaseException, words: Sequence[str], root: str | None
) -> UnforeseenFault:
    from cluster.redaction.redactor import redacted

    text = redacted(_report(error, words))
    first = redacted(traceback.format_exception_only(error)[-1].strip()).splitlines() or [""]
    place = _write(text, root)
    return UnforeseenFault(
        f"a fault of deltascale itself: {first[0][:300]}",
        where=place or "this process",
        hint="what is done is kept, and the same command goes on; please report it with that file"
        if place
        else "the stack could be written nowhere: --debug shows it",
        fault_class=FaultClass.PROGRAM,
    )


def _report(error: BaseException, words: Sequence[str]) -> str:
    """Write what whoever mends the fault needs: when, what was asked, and the stack."""
    import platform

    from jobs.worker.versions import code_commit

    stack = traceback.TracebackException.from_exception(error, limit=_LONGEST_FRAMES)
    return "\n".join(
        [
            time.strftime("%Y-%m-%d %H:%M:%S %z"),
            f"deltascale {' '.join(words)}",
            f"commit {code_commit()}, Python {platform.python_version()}, {platform.platform()}",
            "",
            "".join(stack.format()),
        ]
    )


def _write(text: str, root: str | None) -> str | None:
    """Write a crash file that only its owner can read; return where, or None."""
    prefix = time.strftime("deltascale-%Y%m%d-%H%M%S-")
    for folder in filter(None, (_folder_in(root), tempfile.gettempdir())):
        with contextlib.suppress(OSError, ValueError):
            descriptor, path = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".txt")
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
            return path
    return None


def _folder_in(root: str | None) -> str | None:
    """Return the folder for crash files of a local root that is ours; None for any other."""
    with contextlib.suppress(OSError, ValueError, UserError):
        place = expanded(root or os.environ.get("DELTASCALE_ROOT") or "results")
        folder = place / _CRASHES
        if "://" not in str(root) and (place / "root.json").is_file():
            folder.mkdir(mode=0o700, exist_ok=True)
            if stat.S_ISDIR(folder.lstat().st_mode):
                return str(folder)
    return None
