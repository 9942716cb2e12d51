"""`StoredRows`: the stored rows of one place; indexing reads the rows from mapped files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Int64, Shaped

from jobs.store.row_index import RowIndex
from jobs.store.unit_arrays import widen_bfloat16

if TYPE_CHECKING:
    from torch import Tensor

Framework = Literal["numpy", "torch"]
"""Library of the arrays that rows are returned as; bfloat16, which numpy lacks, as float32."""
RowKey = int | slice | Sequence[int] | Sequence[bool] | np.ndarray
"""Index of a row, a slice, indices, or a mask."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRows:
    """Rows [rows, d] of one site, layer and position in the plan's order."""

    index: RowIndex
    """Token, prompt, group and position of each row, and which rows are in the reservoir."""
    block: Callable[[int], np.ndarray]
    """Maps the block of a number into memory."""
    dtype: str
    """Dtype as stored: `float32` or `bfloat16`."""
    width: int
    """Numbers of a row: d."""
    framework: Framework
    """Library of the arrays that are returned."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and d."""
        return len(self.index.tokens), self.width

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: RowKey) -> Any:
        """Read rows [rows, d], or one row [d], as an array or tensor; other rows are not read."""
        chosen = np.arange(len(self))[key]
        raw = self._gather(np.atleast_1d(chosen))
        rows: np.ndarray | Tensor = raw
        if self.framework == "torch":
            rows = _as_torch(raw, self.dtype)
        elif self.dtype == "bfloat16":
            rows = widen_bfloat16(raw)
        return rows if np.ndim(chosen) else rows[0]

    def _gather(self, chosen: Int64[np.ndarray, " chosen"]) -> Shaped[np.ndarray, "chosen d"]:
        dtype = "uint16" if self.dtype == "bfloat16" else self.dtype
        gathered = np.empty((len(chosen), self.shape[1]), dtype=dtype)
        blocks, rows = self.index.blocks[chosen], self.index.rows[chosen]
        for block in np.unique(blocks):
            here = blocks == block
            gathered[here] = self.block(int(block))[rows[here]]
        return gathered


def _as_torch(raw: np.ndarray, dtype: str) -> Tensor:
    import torch

    if dtype == "bfloat16":
        return torch.from_numpy(raw.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(raw)
