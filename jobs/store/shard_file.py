"""One safetensors file: streamed to disk piece by piece and hashed on the way, read by mmap.

Our own writer, because the library's `save_file` wants whole tensors (a second copy of a shard
that is gathered block by block), never syncs, and leaves files that only their owner may read; its
reader copies what it returns. The format is a length, a JSON header and the bytes.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path
from typing import BinaryIO, TypedDict

import numpy as np
import xxhash

from cluster.disk.disk_faults import sync_descriptor
from cluster.errors import SurroundingsError
from jobs.store.store_layout import ShardEntry

_CODES = {
    "float64": "F64",
    "int64": "I64",
    "uint64": "U64",
    "float32": "F32",
    "int32": "I32",
    "uint32": "U32",
    "bfloat16": "BF16",
    "float16": "F16",
    "int16": "I16",
    "uint16": "U16",
    "bool": "BOOL",
    "int8": "I8",
    "uint8": "U8",
}
_NAMES = {code: name for name, code in _CODES.items()}
_FLUSH_BYTES = 32 * 2**20
"""Writing to disk starts after this many bytes, so that the sync at the end finds little left."""


class TensorHeader(TypedDict):
    """Entry of a tensor in the header of a safetensors file."""

    dtype: str
    """A value of _CODES."""
    shape: list[int]
    """Length of each axis."""
    data_offsets: list[int]
    """First byte and end of the tensor after the header."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """A tensor to be written, its rows in one or more arrays."""

    dtype: str
    """`float32`, `bfloat16`, ...; bfloat16 comes as arrays of 16-bit integers."""
    shape: tuple[int, ...]
    """Shape of the whole tensor."""
    arrays: Sequence[np.ndarray]
    """Arrays in the order of the file; they are not copied, so they must not change."""

    @classmethod
    def of(cls, array: np.ndarray) -> Pieces:
        """Return a tensor of a single array."""
        return cls(dtype=str(array.dtype), shape=array.shape, arrays=[array])

    @property
    def nbytes(self) -> int:
        """Bytes of all pieces."""
        return sum(array.nbytes for array in self.arrays)


def write_shard(path: Path, tensors: Mapping[str, Pieces]) -> ShardEntry:
    """Write a file and return its entry for the unit's marker.

    Raises SurroundingsError when the disk cannot take the file; nothing is left then.
    """
    # Widest first, so that every tensor starts at a multiple of its own width.
    names = sorted(tensors, key=lambda name: (-bytes_per_number(tensors[name].dtype), name))
    header: dict[str, TensorHeader] = {}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        assert end - start == bytes_per_number(tensors[name].dtype) * prod(tensors[name].shape), (
            name
        )
        header[name] = {
            "dtype": _CODES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    hasher = xxhash.xxh3_64()
    flushing = 0
    with open_durably(path) as stream:
        head = memoryview(len(text).to_bytes(8, "little") + text)
        for piece in chain([head], _bytes(tensors, names)):
            hasher.update(piece)
            stream.write(piece)
            flushing = _start_flushing(stream, flushing)
    return {
        "bytes": 8 + len(text) + end,
        "xxh3": hasher.hexdigest(),
        "tensors": {
            name: {"dtype": tensors[name].dtype, "shape": list(tensors[name].shape)}
            for name in names
        },
    }


def _bytes(tensors: Mapping[str, Pieces], names: Sequence[str]) -> Iterator[memoryview]:
    for name in names:
        for array in tensors[name].arrays:
            flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            for start in range(0, len(flat), _FLUSH_BYTES):
                yield flat[start : start + _FLUSH_BYTES].data


def bytes_per_number(dtype: str) -> int:
    """Return the bytes of one number of a dtype."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _start_flushing(stream: BinaryIO, since: int) -> int:
    """Ask the kernel to start writing the bytes from `since`; return the start of the next part.

    Bytes that are not on disk yet stay in memory, so the call does not wait.
    """
    size = stream.tell() - since
    if size < _FLUSH_BYTES or not hasattr(os, "posix_fadvise"):  # macOS has none
        return since
    os.posix_fadvise(stream.fileno(), since, size, os.POSIX_FADV_DONTNEED)
    return since + size


@contextmanager
def open_durably(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears at `path` only when the block has ended and all is on disk.

    Raises SurroundingsError when the disk is full, read-only or broken.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            sync_descriptor(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _write_error(error, path) from error


def _write_error(error: OSError, path: Path) -> SurroundingsError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return SurroundingsError(
        f"cannot write {path.name}: {error.strerror or error}",
        where=str(path.parent),
        hint="free space, then run the same command: finished units are kept" if is_full else None,
    )


class Shard:
    """A safetensors file, mapped into memory: pages are read when their numbers are used."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            self._header: dict[str, TensorHeader] = json.loads(stream.read(length))
        self._bytes = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))[8 + length :]

    @property
    def names(self) -> list[str]:
        """Names of the tensors, sorted."""
        return sorted(name for name in self._header if name != "__metadata__")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._header[name]["shape"])

    def dtype(self, name: str) -> str:
        """Return the dtype of a tensor: `float32`, `bfloat16`, ..."""
        return _NAMES[self._header[name]["dtype"]]

    def array(self, name: str) -> np.ndarray:
        """Return a read-only view of a tensor; bfloat16, which numpy lacks, as uint16."""
        start, end = self._header[name]["data_offsets"]
        dtype = "uint16" if self.dtype(name) == "bfloat16" else self.dtype(name)
        return self._bytes[start:end].view(dtype).reshape(self._header[name]["shape"])
