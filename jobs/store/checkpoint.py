"""`Checkpoint`: the tensors of a model's folder by name, mapped from disk; no model is built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cluster.errors import UserError
from jobs.models.family import family_of_config
from jobs.models.folder import INDEX, read_config, weight_files
from jobs.models.shape import read_shape
from jobs.store.shard_file import Shard
from jobs.store.unit_arrays import widen_bfloat16

_READABLE = ("float64", "float32", "float16", "bfloat16")
_NO_WEIGHTS = "rotary_emb.inv_freq"
"""A table that old checkpoints keep: it follows from the config."""


class Checkpoint:
    """The weights in a folder, under the names that the causal language model gives them."""

    def __init__(self, folder: Path, where: str) -> None:
        config = read_config(folder, where)
        self._where = where
        self._family = family_of_config(config, where)
        self.shape = read_shape(self._family.FIELDS, config)
        """The sizes of the model."""
        files = [name for name in weight_files(folder, where) if name != INDEX]
        shards = [Shard(folder / name) for name in files]
        stored = {name: shard for shard in shards for name in shard.names}
        prefix = self._family.BLOCKS.partition(".")[0] + "."
        # Published checkpoints of some families were saved without the language model's head.
        bare = not any(name.startswith(prefix) for name in stored)
        self._stored = {
            prefix + name if bare and not name.startswith("lm_head.") else name: (shard, name)
            for name, shard in stored.items()
        }

    @property
    def names(self) -> list[str]:
        """Names of the weights, sorted; not of masks and tables that old checkpoints keep."""
        return sorted(name for name in self._stored if self._is_weight(name))

    def _is_weight(self, name: str) -> bool:
        shard, stored = self._stored[name]
        if name.endswith(_NO_WEIGHTS) or (self.shape.tie and name == "lm_head.weight"):
            return False
        return len(shard.shape(stored)) in (1, 2) and shard.dtype(stored) in _READABLE

    def tensor(self, name: str) -> np.ndarray:
        """A tensor as it is stored, read where it is looked at; bfloat16 as float32.

        Raises UserError when the checkpoint lacks it.
        """
        if name not in self._stored:
            raise UserError(f"the weights lack {name}", where=self._where)
        shard, stored = self._stored[name]
        raw = shard.array(stored)
        return widen_bfloat16(raw) if shard.dtype(stored) == "bfloat16" else raw

    def dtype(self, name: str) -> str:
        """How a tensor is stored."""
        shard, stored = self._stored[name]
        return shard.dtype(stored)

    def block(self, layer: int) -> list[str]:
        """Names of the weights of one block."""
        start = f"{self._family.BLOCKS}.{layer}."
        return [name for name in self.names if name.startswith(start)]

    def value_vectors(self, layer: int) -> Float32[np.ndarray, "neurons d"]:
        """What each neuron of a block adds to the residual stream, up to a factor per token."""
        mlp = self._family.MLP
        block = f"{self._family.BLOCKS}.{layer}."
        stored = self.tensor(f"{block}{mlp.down}.weight").astype(np.float32)
        vectors = stored if mlp.inputs_first else stored.T
        if mlp.gain is not None:
            vectors = vectors * (1 + self.tensor(f"{block}{mlp.gain}.weight").astype(np.float32))
        return np.ascontiguousarray(vectors)
