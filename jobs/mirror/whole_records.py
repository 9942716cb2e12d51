"""Which records of a run's file are whole? A kill may tear the last one.

`wandb sync` sends what stands before a torn record and then refuses the file, at every try: the run
would count as unsent for ever. The files are logs as LevelDB writes them (its `log_format.md`):
blocks of 32 KiB, in them parts with a header of 7 bytes (checksum, length, kind); no part crosses
blocks, a record does, in a first part, middle ones and a last one. W&B's own header comes first.
"""

import os
import struct
from pathlib import Path

_BLOCK_BYTES = 32768
_FILE_HEADER_BYTES = 7
_FILE_BEGINS = b":W&B"
_PART_HEADER = struct.Struct("<IHB")
_ENDS = {1, 4}
"""Kinds of parts that end a record: all of it, and the last part of one."""


def cut_torn_record(file: Path) -> int:
    """Cut the end off a file that nobody writes any more, from the record that is not whole.

    Args:
        file: `run-<id>.wandb`; times stay what they were.

    Returns:
        How many bytes were cut off; 0 where all records are whole, and of a file of another format.
    """
    about = file.stat()
    with file.open("rb") as opened:
        if opened.read(len(_FILE_BEGINS)) != _FILE_BEGINS:
            return 0
    kept = _whole_bytes(file, about.st_size)
    if kept < about.st_size:
        os.truncate(file, kept)
        os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    return about.st_size - kept


def _whole_bytes(file: Path, size: int) -> int:
    """Return where the last whole record ends, or the zeros that fill up its block."""
    with file.open("rb") as opened:
        for start in range(size // _BLOCK_BYTES * _BLOCK_BYTES, -1, -_BLOCK_BYTES):
            opened.seek(start)
            block = opened.read(_BLOCK_BYTES)
            end = _last_end(block, 0 if start else _FILE_HEADER_BYTES)
            if end is not None:
                rest = block[end:]
                is_filled = len(block) == _BLOCK_BYTES and len(rest) < _PART_HEADER.size
                return start + end + (len(rest) if is_filled and start + len(block) == size else 0)
    return min(_FILE_HEADER_BYTES, size)


def _last_end(block: bytes, at: int) -> int | None:
    """Return where the last record that ends in a block does; None where none does."""
    end = None
    while at + _PART_HEADER.size <= len(block):
        _, length, kind = _PART_HEADER.unpack_from(block, at)
        at += _PART_HEADER.size + length
        if at > len(block):
            break
        if kind in _ENDS:
            end = at
    return end
