"""`ReplicatedState`: weights and moments in a checkpoint where every rank has the whole model.

Between two steps each rank copies its share of weights and moments to host memory; when the copy is
written no longer matters to the training loop. No pickle. Any number of ranks can read what any
other number wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer
from transformers import Trainer

from jobs.training.resume.checkpoint_files import Files
from jobs.training.trained_weights import (
    WEIGHT,
    owners,
    rank_file,
    read_tensors,
    trained_weights,
    write_tensors,
)
from jobs.worker import ranks


class ReplicatedState:
    """Copies the state of one run to files, and back."""

    def __init__(self) -> None:
        self._copies: dict[str, Tensor] = {}

    def take(self, trainer: Trainer) -> Files:
        """Copy this rank's share, as files to be written.

        The copy reuses the memory of the one before, which must have been written by then.
        """
        weights, state = trained_weights(trainer), _optimizer(trainer).state
        copies = {}
        for name, owner in owners(weights, ranks.num_ranks()).items():
            if owner == ranks.rank():
                for part, tensor in {WEIGHT: weights[name], **state[weights[name]]}.items():
                    copies[f"{part}/{name}"] = self._copy(f"{part}/{name}", tensor)
        if trainer.model.device.type == "cuda":
            torch.cuda.synchronize()  # until the copies are there
        return {rank_file(): partial(write_tensors, copies)}

    def _copy(self, name: str, tensor: Tensor) -> Tensor:

        if name not in self._copies:
            # Copies to memory that the system may move go through a buffer, and take longer.
            self._copies[name] = torch.empty(
                tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda
            )
        return self._copies[name].copy_(tensor.detach(), non_blocking=True)

    def restore(self, trainer: Trainer, folder: Path) -> None:
        """Put weights and moments back as they were when the checkpoint was taken."""
        weights = trained_weights(trainer)
        moments: dict[str, dict[str, Tensor]] = {name: {} for name in weights}
        restored = set()
        for part, name, tensor in read_tensors(folder, "rank-*.safetensors"):
            assert name in weights, f"{folder} holds {name}, which is not trained"
            if part == WEIGHT:
                restored.add(name)
                with torch.no_grad():
                    weights[name].copy_(tensor)
            else:
                moments[name][part] = tensor.clone()
        assert restored == set(weights), f"{folder} lacks {sorted(set(weights) - restored)}"
        _set_moments(trainer, moments)


def _optimizer(trainer: Trainer) -> Optimizer:
    """Return the torch optimizer under what accelerate wraps it in."""
    optimizer: Optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    return optimizer


def _set_moments(trainer: Trainer, moments: Mapping[str, Mapping[str, Tensor]]) -> None:
    optimizer = _optimizer(trainer)
    names = {id(weight): name for name, weight in trained_weights(trainer).items()}
    order = [names[id(weight)] for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(order) == sorted(moments), "the optimizer trains other parameters"
    state = optimizer.state_dict()
    state["state"] = {place: dict(moments[name]) for place, name in enumerate(order)}
    optimizer.load_state_dict(state)
