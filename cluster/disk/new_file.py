"""A file of the user's that a command writes once: whole, or there is none."""

import contextlib
from pathlib import Path

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import class_of_os_error


def write_new_file(path: Path, text: str, *, folder_mode: int | None = None) -> None:
    """Write a text file where none is; what a full disk cut off does not stay in the way.

    Args:
        path: the file.
        text: what it is to hold.
        folder_mode: the mode that its folder is made with; None makes none.

    Raises:
        UserError: the file exists, or its folder does not.
        SurroundingsError: it cannot be written.
    """
    try:
        if folder_mode is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
        stream = open(path, "x", encoding="utf-8")  # noqa: SIM115 - opening makes it ours
    except FileExistsError:
        raise UserError("the file exists and is not overwritten", where=str(path)) from None
    except FileNotFoundError:
        raise UserError("there is no such folder", where=str(path.parent)) from None
    except OSError as error:
        raise _cannot_write(path, error) from None
    try:
        with stream:
            stream.write(text)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> SurroundingsError:
    return SurroundingsError(
        f"cannot write: {error.strerror}", where=str(path), fault_class=class_of_os_error(error)
    )
