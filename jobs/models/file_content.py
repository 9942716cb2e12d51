"""Is a file of a checkpoint what its name says, or does something stand there in its place?

Pointers of Git LFS and its like, links to what is gone, web pages, half of a download: each is one
UserError that names the file and what to do.
"""

from collections.abc import Iterable
from pathlib import Path

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import class_of_os_error
from jobs.sources.placeholders import (
    HEAD_BYTES,
    PICKLES,
    answered_instead,
    is_plain_text,
    refuse_placeholder,
    require_target,
)

_PICKLED = (b"PK\x03\x04", *PICKLES)
_HALF = (".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".download", ".lock.tmp")
"""Endings of what programs write until a download is whole."""


def require_content(path: Path, where: str) -> None:
    """Look at the beginning of a file.

    Args:
        path: the file.
        where: its folder's name in errors.

    Raises:
        UserError: something else stands in its place; or a link, and what it names is gone.
        SurroundingsError: the file cannot be read.
    """
    require_target(path, where)
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise _unreadable(path, error, where) from error
    refuse_placeholder(path, head, called=path.name, where=where)
    # A safetensors file begins with the length of its header: no length is 8 letters.
    if path.suffix == ".safetensors" and is_plain_text(head[:8]) and len(head) >= 8:
        raise answered_instead(head, called=path.name, where=where)
    if path.suffix == ".safetensors" and head.startswith(_PICKLED):
        raise UserError(
            f"{path.name} is a pickle of torch under another name, which can run code when it is "
            "opened",
            where=where,
            hint="if you trust it, load it with torch and save it with safetensors.torch.save_file",
        )


def half_downloads(folder: Path) -> list[str]:
    """List what is left of downloads that did not end, in a folder and in the hub's place in it."""
    places: Iterable[Path] = (folder, folder / ".cache" / "huggingface" / "download")
    return sorted(
        file.relative_to(folder).as_posix()
        for place in places
        for file in place.glob("*")
        if file.name.endswith(_HALF)
    )


def _unreadable(path: Path, error: OSError, where: str) -> SurroundingsError:
    return SurroundingsError(
        f"{path.name} cannot be read ({error.strerror or error})",
        where=where,
        fault_class=class_of_os_error(error),
    )
