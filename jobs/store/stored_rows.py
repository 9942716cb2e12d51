"""`StoredRows`: the stored rows of one place, read from mapped files where they are indexed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Int64

from jobs.store.row_index import RowIndex
from jobs.store.unit_arrays import widen_bfloat16

if TYPE_CHECKING:
    from torch import Tensor

Framework = Literal["numpy", "torch"]
"""What rows are returned as. Rows in bfloat16, which numpy has not, are float32 there."""


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
        """Token, prompt, group and position of each row, and whether it is of the reservoir."""
        self.dtype = dtype
        """`float32` or `bfloat16`, as stored."""
        self.shape = (len(index.tokens), width)
        """Rows and d."""
        self._block = block
        self._framework = framework

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """The rows of an index, a slice, or an array of indices or truths; no others are read."""
        chosen = np.arange(len(self))[key]
        raw = self._gathered(np.atleast_1d(chosen))
        found: Any = raw
        if self._framework == "torch":
            found = _as_torch(raw, self.dtype)
        elif self.dtype == "bfloat16":
            found = widen_bfloat16(raw)
        return found if np.ndim(chosen) else found[0]

    def _gathered(self, chosen: Int64[np.ndarray, " chosen"]) -> np.ndarray:
        raw = "uint16" if self.dtype == "bfloat16" else self.dtype
        found = np.empty((len(chosen), self.shape[1]), dtype=raw)
        blocks, rows = self.index.blocks[chosen], self.index.rows[chosen]
        for block in np.unique(blocks):
            here = blocks == block
            found[here] = self._block(int(block))[rows[here]]
        return found


def _as_torch(raw: np.ndarray, dtype: str) -> Tensor:
    import torch

    if dtype == "bfloat16":
        return torch.from_numpy(raw.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(raw)
