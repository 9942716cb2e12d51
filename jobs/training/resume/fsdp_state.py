"""`FsdpState`: weights and moments in a checkpoint where FSDP2 divides each among the ranks.

Each rank copies its own pieces of weights and moments; as many ranks must read them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jobs.training.resume.checkpoint_files import Files
from jobs.training.trained_weights import (
    WEIGHT,
    local_part,
    rank_file,
    read_tensors,
    trained_weights,
    write_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed.tensor import DTensor
    from torch.nn import Parameter
    from transformers import PreTrainedModel, Trainer


def is_divided(trainer: Trainer) -> bool:
    """Return whether FSDP2 has divided the weights of a prepared trainer."""
    return any(hasattr(weight, "to_local") for weight in trained_weights(trainer).values())


def divide_again(model: PreTrainedModel) -> None:
    """Divide what a forward pass gathered; validation leaves the outermost weights whole."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


class FsdpState:
    """Copies the state of one run to files, and back."""

    def take(self, trainer: Trainer) -> Files:
        """Copy this rank's pieces, as files to be written."""
        divide_again(trainer.model)
        state = trainer.optimizer.optimizer.state
        copies = {
            f"{part}/{name}": local_part(tensor).detach().cpu().clone()
            for name, weight in trained_weights(trainer).items()
            for part, tensor in {WEIGHT: weight, **state[weight]}.items()
        }
        return {rank_file(): partial(write_tensors, copies)}

    def restore(self, trainer: Trainer, folder: Path) -> None:
        """Put weights and moments back as they were when the checkpoint was taken."""
        import torch

        weights = trained_weights(trainer)
        optimizer = trainer.optimizer.optimizer
        moments: dict[Parameter, dict[str, Tensor]] = {}
        restored = set()
        for part, name, tensor in read_tensors(folder, rank_file()):
            if part == WEIGHT:
                restored.add(name)
                with torch.no_grad():
                    local_part(weights[name]).copy_(tensor)
            else:
                weight = cast("DTensor", weights[name])
                moment = _divided_like(weight, tensor, fused=bool(optimizer.defaults.get("fused")))
                moments.setdefault(weights[name], {})[part] = moment
        assert restored == set(weights), f"{folder} lacks {sorted(set(weights) - restored)}"
        optimizer.state.clear()
        optimizer.state.update(moments)


def _divided_like(weight: DTensor, tensor: Tensor, *, fused: bool) -> Tensor:
    """Return what an optimizer keeps for a weight, divided as the weight is.

    The number of steps is whole. A fused step reads it on the weight's device, and no other there
    is: from the host's memory a GPU's kernel would read what is not its own.
    """
    from torch.distributed.tensor import DTensor

    if tensor.shape != weight.to_local().shape:  # the number of steps
        return tensor.to(weight.device) if fused else tensor
    return DTensor.from_local(
        tensor.to(weight.device),
        weight.device_mesh,
        weight.placements,
        shape=weight.shape,
        stride=weight.stride(),
        run_check=False,
    )
