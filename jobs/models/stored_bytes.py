"""The bytes of tensors in safetensors files, looked at as they lie there: no library has to decode.

Types that numpy lacks (bfloat16) are compared alike.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 24
_OF_ZEROS = b"\x00\x80"
"""Bytes of +0 and -0; what else consists of them alone is below 1e-36."""


@dataclass(frozen=True, kw_only=True)
class StoredBytes:
    """Where the bytes of a tensor lie."""

    path: Path
    """The file."""
    kind: tuple[str, tuple[int, ...]]
    """Type and shape."""
    start: int
    """Its first byte in the file."""
    end: int
    """The byte behind its last."""

    def equals(self, other: StoredBytes) -> bool:
        """Compare type, shape and every byte."""
        if self.kind != other.kind:
            return False
        return all(one == two for one, two in zip(self._blocks(), other._blocks(), strict=True))

    def is_zero(self) -> bool:
        """Tell whether every entry is zero, with either sign."""
        return not any(block.translate(None, _OF_ZEROS) for block in self._blocks())

    def _blocks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            for start in range(self.start, self.end, _BLOCK):
                yield file.read(min(_BLOCK, self.end - start))


def tensors_in(path: Path) -> dict[str, StoredBytes]:
    """Read where the tensors of a whole safetensors file lie."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return {
        name: StoredBytes(
            path=path,
            kind=(entry["dtype"], tuple(entry["shape"])),
            start=8 + length + entry["data_offsets"][0],
            end=8 + length + entry["data_offsets"][1],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
