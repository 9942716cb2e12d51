"""`BestWeights`: the weights with which a run had its lowest validation loss.

Each rank holds its share of them in host memory. Every checkpoint has them too, so they outlive
the process that kept them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import Trainer

from jobs.training.resume.checkpoint_files import Files
from jobs.training.trained_weights import (
    WEIGHT,
    gather,
    owners,
    rank_file,
    read_tensors,
    trained_weights,
    write_tensors,
)
from jobs.worker import ranks


class BestWeights:
    """The best weights of one run; all ranks do everything together."""

    def __init__(self) -> None:
        self.step: int | None = None
        """The step after which the model had them; None while there are none."""
        self._share: dict[str, Tensor] = {}

    def keep(self, trainer: Trainer, step: int) -> None:
        """Copy the weights of the model as they are now, after a step."""
        weights = trained_weights(trainer)
        share: dict[str, Tensor] = {}
        for name, owner in owners(weights, ranks.num_ranks()).items():
            with gather(weights[name]):
                if owner == ranks.rank():
                    # The memory of those before may be on its way to disk.
                    copy = torch.empty(weights[name].shape, dtype=weights[name].dtype)
                    share[f"{WEIGHT}/{name}"] = copy.copy_(weights[name].detach())
        self.step, self._share = step, share

    def files(self) -> Files:
        """Return what a checkpoint holds of them."""
        if not self._share:
            return {}
        return {f"best-{rank_file()}": partial(write_tensors, self._share)}

    def load(self, trainer: Trainer, folder: Path, step: int) -> None:
        """Read this rank's share from a checkpoint."""
        mine = owners(trained_weights(trainer), ranks.num_ranks())
        self.step = step
        self._share = {
            f"{part}/{name}": tensor.clone()
            for part, name, tensor in read_tensors(folder, "best-rank-*.safetensors")
            if mine[name] == ranks.rank()
        }
        assert len(self._share) == list(mine.values()).count(ranks.rank()), folder

    def put_back(self, trainer: Trainer) -> None:
        """Give the model these weights. No step may follow: the optimizer does not learn of it."""
        weights = trained_weights(trainer)
        with torch.no_grad():
            for name, owner in owners(weights, ranks.num_ranks()).items():
                with gather(weights[name], changed_by=owner):
                    if owner == ranks.rank():
                        weights[name].copy_(self._share[f"{WEIGHT}/{name}"])
                    if not hasattr(weights[name], "ds_id"):
                        ranks.give_all(weights[name], owner)
