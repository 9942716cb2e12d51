"""Reads the bytes of a data file, unpacked whatever its name says, and tells what is none.

What unpacks to far more than it is (a bomb, or a disk image) is refused before it fills the memory.
"""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

from cluster.errors import UserError

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of packed files, which stand behind the suffix of what is inside."""

_PIECE = 1 << 22
_ALWAYS_ALLOWED = 1 << 29
"""Bytes that any packed file may unpack to."""
_HIGHEST_RATIO = 64
"""Times its own size that a larger one may unpack to; text reaches 3 to 20."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_TEXT_LIKE = (b"<!doctype html", b"<html")

_PACKINGS: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_OTHER: dict[bytes, str] = {
    b"PK\x03\x04": "a zip archive: unpack it first, and name what was in it",
    b"\x80\x04\x95": "a Python pickle, which can run code: save the rows as jsonl or parquet",
    b"SQLite format 3": "an SQLite database: export the table as csv, jsonl or parquet",
    b"\x89HDF": "an HDF5 file: save the rows as jsonl or parquet",
}


def check_start(path: Path) -> None:
    """Raise UserError for what is not the file itself: a pointer, an archive, a web page."""
    try:
        with open(path, "rb") as stream:
            _refuse_other_files(path, stream.read(512))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacked where its first bytes say that it is packed.

    Raises:
        UserError: a pointer in place of the file, a broken archive, one that unpacks to too much,
            or a file of another kind, each with the way on.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(512)
            _refuse_other_files(path, start)
            packing = packing_of(path, start)
            stream.seek(0)
            return stream.read() if packing is None else _unpack(path, stream, packing)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def packing_of(path: Path, start: bytes) -> str | None:
    """Return how a file is packed, by its first bytes; None when it is not.

    Raises:
        UserError: its name says that it is packed, and it is not.
    """
    packing = next((name for magic, name in _PACKINGS.items() if start.startswith(magic)), None)
    if packing is None and path.suffix in _NAMES:
        name = _NAMES[path.suffix]
        raise UserError(
            f"not a whole {name} file: it does not begin as one",
            where=str(path),
            hint="download it again, or take the suffix off if it is not packed",
        )
    return packing


def _refuse_other_files(path: Path, start: bytes) -> None:
    """Raise UserError for a file that its first bytes show to be no data file."""
    if start.startswith(_LFS_POINTER):
        raise UserError(
            "this is a Git LFS pointer, not the file itself",
            where=str(path),
            hint="run `git lfs pull` in its repository, or download the file from the hub",
        )
    for magic, what in _OTHER.items():
        if start.startswith(magic):
            kind, _, way_on = what.partition(": ")
            raise UserError(f"this is {kind}", where=str(path), hint=way_on)
    if start.lstrip().lower().startswith(_TEXT_LIKE):
        raise UserError(
            "this is a web page, not a data file",
            where=str(path),
            hint="download the file itself (on the hub: /resolve/ in the address, not /blob/)",
        )


def _unpack(path: Path, stream: IO[bytes], packing: str) -> bytes:
    packed_size = path.stat().st_size
    most = max(_ALWAYS_ALLOWED, _HIGHEST_RATIO * packed_size)
    pieces, size = [], 0
    try:
        with _open_packed(stream, packing) as unpacked:
            while piece := unpacked.read(_PIECE):
                size += len(piece)
                if size > most:
                    raise UserError(
                        f"{packed_size} bytes that unpack to more than {most >> 20} MiB",
                        where=str(path),
                        hint="unpack it yourself, if that is what it should hold",
                    )
                pieces.append(piece)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise UserError(
            f"not a whole {packing} file: {error}", where=str(path), hint="download it again"
        ) from error
    return b"".join(pieces)


def _open_packed(stream: IO[bytes], packing: str) -> Any:
    if packing == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if packing == "bzip2":
        return bz2.BZ2File(stream)
    if packing == "xz":
        return lzma.LZMAFile(stream)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(stream), "zstd")
