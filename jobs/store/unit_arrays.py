"""`UnitArrays`: the arrays of one finished unit by name, each mapped on request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float32, UInt16

from jobs.store.shard_file import Shard
from jobs.store.store_layout import MARKER, UNITS, StoreFiles, TensorEntry, UnitMarker


class UnitArrays(Mapping[str, np.ndarray]):
    """The arrays of one unit; the digest of a shard is checked when it is first opened."""

    def __init__(self, files: StoreFiles, name: str) -> None:
        self.name = name
        """Name of the unit's folder."""
        self.marker: UnitMarker = json.loads(files.read(f"{UNITS}/{name}/{MARKER}"))
        """Content of `UNIT.json`."""
        self._files = files
        self._shards: dict[str, Shard] = {}
        self._file_of = {
            tensor.removeprefix(f"{name}."): file
            for file, shard in self.marker["shards"].items()
            for tensor in shard["tensors"]
        }

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array; bfloat16 as float32."""
        array = self.raw(name)
        return widen_bfloat16(array) if self.dtype(name) == "bfloat16" else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def __len__(self) -> int:
        return len(self._file_of)

    def __contains__(self, name: object) -> bool:
        return name in self._file_of

    def raw(self, name: str) -> np.ndarray:
        """Return a mapped, read-only view of an array as stored; bfloat16 as uint16."""
        file = self._file_of[name]
        if file not in self._shards:
            self._shards[file] = Shard(self._files.path(f"{UNITS}/{self.name}/{file}"))
        return self._shards[file].array(f"{self.name}.{name}")

    def dtype(self, name: str) -> str:
        """Return the dtype of an array as stored."""
        return self._entry(name)["dtype"]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return tuple(self._entry(name)["shape"])

    def blocks(self, label: str) -> list[str]:
        """Return the numbers of a position's blocks of stored rows, as array names end."""
        start = f"stored.{label}.tokens."
        return sorted(name.removeprefix(start) for name in self if name.startswith(start))

    def _entry(self, name: str) -> TensorEntry:
        return self.marker["shards"][self._file_of[name]]["tensors"][f"{self.name}.{name}"]


def widen_bfloat16(raw: UInt16[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Return the float32 values of bfloat16 bits, which are their upper half."""
    return (raw.astype(np.uint32) << 16).view(np.float32)
