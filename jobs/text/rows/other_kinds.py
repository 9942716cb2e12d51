"""Tells by its first bytes what a file is that is no data file of the kind that its name says."""

from collections.abc import Sequence
from pathlib import Path

from cluster.errors import UserError
from jobs.sources.placeholders import PICKLES, is_plain_text, refuse_placeholder

PARQUET = b"PAR1"
"""What a Parquet file begins with."""
ARROW = b"ARROW1"
"""What an Arrow file begins with."""

_UNPACK = "unpack it first, and name what was in it"
_EXPORT = "save the rows as csv, jsonl or parquet"
_SHEET = "save its sheet as csv (UTF-8)"
_PICKLE = "a Python pickle, which can run code"
_KINDS: Sequence[tuple[bytes, str, str]] = (
    (PARQUET, "a parquet file", "let its name end in .parquet"),
    (ARROW, "an Arrow file", "let its name end in .arrow"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Office, such as a workbook (xls)", _SHEET),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed with lz4", _UNPACK),
    *((magic, _PICKLE, _EXPORT) for magic in PICKLES),
    (b"SQLite format 3", "an SQLite database", _EXPORT),
    (b"\x89HDF", "an HDF5 file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"%PDF-", "a PDF document", "save its text as UTF-8, or its table as csv"),
    (b"{\\rtf", "a document (RTF)", "save it as plain text, in UTF-8"),
    (b"\x89PNG", "an image", "name the file of rows"),
    (b"\xff\xd8\xff", "an image", "name the file of rows"),
)
"""What a file begins with, what it then is, and the way on."""
_IN_WORKBOOKS = (b"[Content_Types].xml", b"docProps/", b"xl/")
"""First names in the zip archive that a workbook is."""
_TAR_AT = 257
_TAR = b"ustar"


def refuse_other_kinds(path: Path, head: bytes, *, but: bytes | None) -> None:
    """Raise UserError for what is not the file itself, and for a file of another kind.

    Args:
        path: the file.
        head: its first bytes.
        but: what it may begin with; None for a text.
    """
    refuse_placeholder(path, head, called="this", where=str(path))
    told = _kind_of(head)
    if told and not (but and head.startswith(but)):
        what, way_on = told
        raise UserError(f"this is {what}", where=str(path), hint=way_on)


def _kind_of(head: bytes) -> tuple[str, str] | None:
    """Return what a file is and the way on; None for any data file, and for a text."""
    if head[_TAR_AT:].startswith(_TAR):
        return "a tar archive", _UNPACK
    if head.startswith(b"PK\x03\x04") and any(name in head for name in _IN_WORKBOOKS):
        return "a document of Office, such as a workbook (xlsx)", _SHEET
    if head.startswith((PARQUET, ARROW)) and is_plain_text(head):
        return None  # a header that begins so
    known = ((what, way_on) for magic, what, way_on in _KINDS if head.startswith(magic))
    return next(known, None)
