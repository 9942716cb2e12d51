"""What a checkpoint holds where every rank has the whole model, and how it comes back.

Between two steps each rank copies its share of weights and moments to host memory; what becomes of
the copy, and when, is no longer the training loop's business. No pickle. Any number of ranks can
read what any other number wrote.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jobs.training.resume.checkpoints import Files
from jobs.training.trained_weights import (
    WEIGHT,
    owners,
    stored_tensors,
    trained_weights,
    write_tensors,
)
from jobs.worker import ranks


class Replicated:
    """Takes checkpoints of one run and brings them back."""

    def __init__(self) -> None:
        self._copies: dict[str, Any] = {}

    def take(self, trainer: Any) -> Files:
        """A copy of this rank's share, as files to be written.

        It stands in the memory of the one before, which must have been written by then.
        """
        weights, state = trained_weights(trainer), _optimizer(trainer).state
        copies = {}
        for name, owner in owners(weights, ranks.num_ranks()).items():
            if owner == ranks.rank():
                for part, tensor in {WEIGHT: weights[name], **state[weights[name]]}.items():
                    copies[f"{part}/{name}"] = self._copied(f"{part}/{name}", tensor)
        _wait_for_copies(trainer)
        file = f"rank-{ranks.rank()}-of-{ranks.num_ranks()}.safetensors"
        return {file: partial(write_tensors, copies)}

    def _copied(self, name: str, tensor: Any) -> Any:
        import torch

        if name not in self._copies:
            # Copies to memory that the system may move go through a buffer, and take longer.
            self._copies[name] = torch.empty(
                tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda
            )
        return self._copies[name].copy_(tensor.detach(), non_blocking=True)

    def restore(self, trainer: Any, folder: Path) -> None:
        """Put weights and moments back as they were when the checkpoint was taken."""
        import torch

        weights = trained_weights(trainer)
        moments: dict[str, dict[str, Any]] = {name: {} for name in weights}
        restored = set()
        for part, name, tensor in stored_tensors(folder, "rank-*.safetensors"):
            assert name in weights, f"{folder} holds {name}, which is not trained"
            if part == WEIGHT:
                restored.add(name)
                with torch.no_grad():
                    weights[name].copy_(tensor)
            else:
                moments[name][part] = tensor.clone()
        assert restored == set(weights), f"{folder} lacks {sorted(set(weights) - restored)}"
        _set_moments(trainer, moments)


def _optimizer(trainer: Any) -> Any:
    """The torch optimizer under what accelerate wraps it in."""
    return getattr(trainer.optimizer, "optimizer", trainer.optimizer)


def _set_moments(trainer: Any, moments: Mapping[str, Mapping[str, Any]]) -> None:
    optimizer = _optimizer(trainer)
    names = {id(parameter): name for name, parameter in trained_weights(trainer).items()}
    order = [names[id(each)] for group in optimizer.param_groups for each in group["params"]]
    assert sorted(order) == sorted(moments), "the optimizer trains other parameters"
    state = optimizer.state_dict()
    state["state"] = {place: dict(moments[name]) for place, name in enumerate(order)}
    optimizer.load_state_dict(state)


def _wait_for_copies(trainer: Any) -> None:
    import torch

    if trainer.model.device.type == "cuda":
        torch.cuda.synchronize()
