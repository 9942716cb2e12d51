"""Reads the bytes of a data file, unpacked whatever its name says, and tells what is none.

What unpacks to far more than it is (a bomb, or a disk image) is refused before it fills the memory.
"""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

from cluster.errors import DeltascaleError, UserError
from jobs.sources.disk_fault import fault_of_disk
from jobs.sources.placeholders import HEAD_BYTES, is_plain_text
from jobs.text.rows.other_kinds import PARQUET, refuse_other_kinds

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of packed files, which stand behind the suffix of what is inside."""

_PIECE = 1 << 22
_ALWAYS_ALLOWED = 1 << 29
"""Bytes that any packed file may unpack to."""
_HIGHEST_RATIO = 64
"""Times its own size that a larger one may unpack to; text reaches 3 to 20."""

_MOST_SHOWN = 80

_PACKINGS: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x50\x2a\x4d\x18": "zstd",  # a frame to be skipped, which pzstd puts before each
}
_NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


def check_start(path: Path) -> None:
    """Raise UserError for what is not the file itself: a pointer, an archive, a web page."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    refuse_other_kinds(path, head, but=PARQUET)
    if is_plain_text(head):
        text = " ".join(head.decode().split())[:_MOST_SHOWN]
        raise UserError(
            f"this is a text, not a parquet file: {text!r}",
            where=str(path),
            hint="let its name end in .jsonl, .json, .csv or .tsv if these are rows; a server's "
            "answer: download the file again",
        )


def read_bytes(path: Path, *, but: bytes | None = None) -> bytes:
    """Read a file, unpacked where its first bytes say that it is packed.

    Args:
        path: the file.
        but: what it may begin with, of what else shows another kind of file.

    Raises:
        UserError: a pointer in place of the file, a broken archive, one that unpacks to too much,
            or a file of another kind, each with the way on.
        SurroundingsError: its disk does not answer.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
            refuse_other_kinds(path, head, but=but)
            packing = packing_of(path, head)
            stream.seek(0)
            if packing is None:
                return stream.read()
            content = _unpack(path, stream, packing)
    except OSError as error:
        raise _unreadable(path, error) from error
    if again := _packing_in(content[:HEAD_BYTES]):
        raise UserError(
            f"it is packed twice, with {packing} and with {again}",
            where=str(path),
            hint="unpack it once",
        )
    refuse_other_kinds(path, content[:HEAD_BYTES], but=but)
    return content


def packing_of(path: Path, start: bytes) -> str | None:
    """Return how a file is packed, by its first bytes; None when it is not.

    Raises:
        UserError: its name says that it is packed, and it is not.
    """
    packing = _packing_in(start)
    if packing is None and path.suffix in _NAMES:
        name = _NAMES[path.suffix]
        raise UserError(
            f"not a whole {name} file: it does not begin as one",
            where=str(path),
            hint="download it again, or take the suffix off if it is not packed",
        )
    return packing


def _packing_in(start: bytes) -> str | None:
    return next((name for magic, name in _PACKINGS.items() if start.startswith(magic)), None)


def _unreadable(path: Path, error: OSError) -> DeltascaleError:
    if (fault := fault_of_disk(path, error)) is not None:
        return fault
    return UserError(f"cannot be read: {error.strerror or error}", where=str(path))


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
        raise fault_of_disk(path, error) or UserError(
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
