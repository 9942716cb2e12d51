"""`UnitArrays`: the arrays of one finished unit by name, each mapped when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jobs.store.activation_units import FOLDER, MARKER
from jobs.store.shard_file import Shard


class StoreFiles(Protocol):
    """Where a store's files are: an `Artifact`, or a `StoreFolder`."""

    def names(self, folder: str = "") -> list[str]:
        """Names of the files below a folder."""
        ...

    def path(self, name: str) -> Path:
        """A local file, its bytes checked against their digest."""
        ...

    def read(self, name: str) -> bytes:
        """The same bytes."""
        ...


class UnitArrays(Mapping[str, np.ndarray]):
    """One unit; a shard's digest is checked when it is first opened."""

    def __init__(self, files: StoreFiles, name: str) -> None:
        self.name = name
        """Name of its folder."""
        self.marker: Mapping[str, Any] = json.loads(files.read(f"{FOLDER}/{name}/{MARKER}"))
        """Its `UNIT.json`."""
        self._files = files
        self._shards: dict[str, Shard] = {}
        self._where = {
            tensor.removeprefix(f"{name}."): file
            for file, shard in self.marker["shards"].items()
            for tensor in shard["tensors"]
        }

    def __getitem__(self, name: str) -> np.ndarray:
        """An array; bfloat16 as float32."""
        array = self.raw(name)
        return widen_bfloat16(array) if self.dtype(name) == "bfloat16" else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def raw(self, name: str) -> np.ndarray:
        """A mapped, read-only view of an array as it is stored; bfloat16 as uint16."""
        return self._shard(self._where[name]).array(f"{self.name}.{name}")

    def dtype(self, name: str) -> str:
        """How an array is stored."""
        return str(self._entry(name)["dtype"])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        return tuple(self._entry(name)["shape"])

    def blocks(self, label: str) -> list[str]:
        """Numbers of the blocks of stored rows of a position, as their names end."""
        start = f"stored.{label}.tokens."
        return sorted(name.removeprefix(start) for name in self if name.startswith(start))

    def _entry(self, name: str) -> Mapping[str, Any]:
        entry: Mapping[str, Any] = self.marker["shards"][self._where[name]]["tensors"]
        found: Mapping[str, Any] = entry[f"{self.name}.{name}"]
        return found

    def _shard(self, file: str) -> Shard:
        if file not in self._shards:
            self._shards[file] = Shard(self._files.path(f"{FOLDER}/{self.name}/{file}"))
        return self._shards[file]


def widen_bfloat16(raw: np.ndarray) -> np.ndarray:
    """The float32 values of bfloat16 bits, which are their upper half."""
    return (raw.astype(np.uint32) << 16).view(np.float32)
