"""`BestWeights`: the weights with which a run had its lowest validation loss.

Each rank holds its share of them in host memory. Every checkpoint has them too, so they outlive
the run that found them.
"""

from functools import partial
from pathlib import Path
from typing import Any

from jobs.training.resume.checkpoints import Files
from jobs.training.trained_weights import (
    WEIGHT,
    owners,
    stored_tensors,
    trained_weights,
    whole,
    write_tensors,
)
from jobs.worker import ranks

_PREFIX = "best-rank-"


class BestWeights:
    """Those of one run; all ranks do everything together."""

    def __init__(self) -> None:
        self.step: int | None = None
        """The step after which they were so; None while there are none."""
        self._share: dict[str, Any] = {}

    def keep(self, trainer: Any, step: int) -> None:
        """These are the best, as they are now."""
        import torch

        weights, share = trained_weights(trainer), {}
        for name, owner in owners(weights, ranks.num_ranks()).items():
            with whole(weights[name]):
                if owner == ranks.rank():
                    # The memory of those before may be on its way to disk.
                    copy = torch.empty(weights[name].shape, dtype=weights[name].dtype)
                    share[f"{WEIGHT}/{name}"] = copy.copy_(weights[name].detach())
        self.step, self._share = step, share

    def files(self) -> Files:
        """What a checkpoint holds of them."""
        if not self._share:
            return {}
        file = f"{_PREFIX}{ranks.rank()}-of-{ranks.num_ranks()}.safetensors"
        return {file: partial(write_tensors, self._share)}

    def load(self, trainer: Any, folder: Path, step: int) -> None:
        """Take this rank's share out of a checkpoint."""
        mine = owners(trained_weights(trainer), ranks.num_ranks())
        self.step = step
        self._share = {
            f"{part}/{name}": tensor.clone()
            for part, name, tensor in stored_tensors(folder, f"{_PREFIX}*.safetensors")
            if mine[name] == ranks.rank()
        }
        assert len(self._share) == list(mine.values()).count(ranks.rank()), folder

    def put_back(self, trainer: Any) -> None:
        """Give the model these weights. No step may follow: the optimizer knows nothing of it."""
        import torch

        weights = trained_weights(trainer)
        with torch.no_grad():
            for name, owner in owners(weights, ranks.num_ranks()).items():
                with whole(weights[name], changed_by=owner):
                    if owner == ranks.rank():
                        weights[name].copy_(self._share[f"{WEIGHT}/{name}"])
                    if not hasattr(weights[name], "ds_id"):
                        ranks.give_all(weights[name], owner)
