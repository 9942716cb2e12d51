"""`Checkpoint`: the tensors of a model's folder by name, mapped from disk, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cluster.errors import UserError
from jobs.models.checkpoint_files import INDEX
from jobs.models.family import family_of_config
from jobs.models.folder import read_config, weight_files
from jobs.store.shard_file import Shard
from jobs.store.unit_arrays import widen_bfloat16

_READABLE = ("float64", "float32", "float16", "bfloat16")
_ROTARY_TABLE = "rotary_emb.inv_freq"
"""A table in old checkpoints that follows from the config, so that it is no weight."""


class Checkpoint:
    """The weights in a folder, by their names in the causal language model."""

    def __init__(self, folder: Path, where: str) -> None:
        config = read_config(folder, where)
        self._where = where
        self._family = family_of_config(config, where)
        self.shape = self._family.shape(config)
        """Sizes of the model."""
        files = [name for name in weight_files(folder, where) if name != INDEX]
        shards = [Shard(folder / name) for name in files]
        stored = {name: shard for shard in shards for name in shard.names}
        prefix = self._family.BLOCKS.partition(".")[0] + "."
        # Published checkpoints of some families were saved from the model without its head.
        is_headless = not any(name.startswith(prefix) for name in stored)
        self._prefix = prefix if is_headless else ""
        self._stored = {self._named(name): (shard, name) for name, shard in stored.items()}

    def _named(self, name: str) -> str:
        """Return the one name that a weight has here, as stored or as a loaded model says it."""
        root, _, rest = name.partition(".")
        if root in self._family.HEADS:
            return f"{self._family.HEADS[0]}.{rest}"
        return name if name.startswith(self._prefix) else self._prefix + name

    @property
    def names(self) -> list[str]:
        """Names of the weights, sorted, without the masks and tables of old checkpoints."""
        return sorted(name for name in self._stored if self._is_weight(name))

    def _is_weight(self, name: str) -> bool:
        shard, stored = self._stored[name]
        is_copy = self.shape.tie and name == f"{self._family.HEADS[0]}.weight"
        if name.endswith(_ROTARY_TABLE) or is_copy:
            return False
        return len(shard.shape(stored)) in (1, 2) and shard.dtype(stored) in _READABLE

    def tensor(self, name: str) -> np.ndarray:
        """Return a tensor as stored, mapped from disk; bfloat16 as float32.

        Raises UserError when the checkpoint lacks the tensor.
        """
        name = self._named(name)
        if name not in self._stored:
            raise UserError(f"the weights lack {name}", where=self._where)
        shard, stored = self._stored[name]
        raw = shard.array(stored)
        return widen_bfloat16(raw) if shard.dtype(stored) == "bfloat16" else raw

    def dtype(self, name: str) -> str:
        """Return the dtype of a tensor as stored."""
        shard, stored = self._stored[self._named(name)]
        return shard.dtype(stored)

    def block(self, layer: int) -> list[str]:
        """Return the names of the weights of one block."""
        start = f"{self._family.BLOCKS}.{layer}."
        return [name for name in self.names if name.startswith(start)]

    def value_vectors(self, layer: int) -> Float32[np.ndarray, "neurons d"]:
        """Return the direction that each neuron of a block adds to the residual stream.

        A token multiplies the direction by the neuron's activation.
        """
        mlp = self._family.MLP
        block = f"{self._family.BLOCKS}.{layer}."
        stored = self.tensor(f"{block}{mlp.down}.weight").astype(np.float32)
        vectors = stored if mlp.inputs_first else stored.T
        if mlp.gain is not None:
            vectors = vectors * (1 + self.tensor(f"{block}{mlp.gain}.weight").astype(np.float32))
        return np.ascontiguousarray(vectors)
