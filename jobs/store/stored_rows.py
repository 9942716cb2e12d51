"""`StoredRows`: the stored rows of one place; indexing reads the rows from mapped files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class StoredRows:
    """Rows [rows, d] of one site, layer and position in the plan's order."""

    def __init__(
        self,
        index: RowIndex,
        block: Callable[[int], np.ndarray],
        *,
        dtype: str,
        width: int,
        framework: Framework,
    ) -> None:
        self.index = index
        """Token, prompt, group and position of each row, and which rows are in the reservoir."""
        self.dtype = dtype
        """Dtype as stored: `float32` or `bfloat16`."""
        self.shape = (len(index.tokens), width)
        """Number of rows, and d."""
        self._block = block
        self._framework = framework

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: RowKey) -> Any:
        """Read rows [rows, d], or one row [d], as an array or tensor; other rows are not read."""
        chosen = np.arange(len(self))[key]
        raw = self._gather(np.atleast_1d(chosen))
        rows: np.ndarray | Tensor = raw
        if self._framework == "torch":
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
            gathered[here] = self._block(int(block))[rows[here]]
        return gathered


def _as_torch(raw: np.ndarray, dtype: str) -> Tensor:
    import torch

    if dtype == "bfloat16":
        return torch.from_numpy(raw.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(raw)
