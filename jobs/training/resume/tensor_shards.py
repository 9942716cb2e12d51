"""What a checkpoint holds where each weight is divided among the ranks (FSDP2), and how it returns.

Each rank copies its own pieces of weights and moments; as many ranks must read them.
"""

from functools import partial
from pathlib import Path
from typing import Any

from jobs.training.resume.checkpoints import Files
from jobs.training.trained_weights import WEIGHT, stored_tensors, trained_weights, write_tensors
from jobs.worker import ranks


def is_divided(trainer: Any) -> bool:
    """Whether the weights of a prepared trainer are."""
    return any(hasattr(weight, "to_local") for weight in trained_weights(trainer).values())


def put_apart(model: Any) -> None:
    """Divide again what a forward pass gathered; validation leaves the outermost weights whole."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


class Divided:
    """Takes checkpoints of one run and brings them back."""

    def take(self, trainer: Any) -> Files:
        """A copy of this rank's pieces, as files to be written."""
        put_apart(trainer.model)
        state = trainer.optimizer.optimizer.state
        copies = {
            f"{part}/{name}": _piece(tensor).detach().cpu().clone()
            for name, weight in trained_weights(trainer).items()
            for part, tensor in {WEIGHT: weight, **state[weight]}.items()
        }
        return {_file(): partial(write_tensors, copies)}

    def restore(self, trainer: Any, folder: Path) -> None:
        """Put weights and moments back as they were when the checkpoint was taken."""
        import torch

        weights, moments = trained_weights(trainer), _Moments()
        restored = set()
        for part, name, tensor in stored_tensors(folder, _file()):
            if part == WEIGHT:
                restored.add(name)
                with torch.no_grad():
                    weights[name].to_local().copy_(tensor)
            else:
                moments.add(weights[name], part, tensor)
        assert restored == set(weights), f"{folder} lacks {sorted(set(weights) - restored)}"
        optimizer = trainer.optimizer.optimizer
        optimizer.state.clear()
        optimizer.state.update(moments.of)


class _Moments:
    """What an optimizer keeps for each weight, divided as the weight is."""

    def __init__(self) -> None:
        self.of: dict[Any, dict[str, Any]] = {}

    def add(self, weight: Any, part: str, tensor: Any) -> None:
        from torch.distributed.tensor import DTensor

        kept = tensor
        if tensor.shape == weight.to_local().shape:  # not so for the number of steps
            kept = DTensor.from_local(
                tensor.to(weight.device),
                weight.device_mesh,
                weight.placements,
                shape=weight.shape,
                stride=weight.stride(),
                run_check=False,
            )
        self.of.setdefault(weight, {})[part] = kept


def _piece(tensor: Any) -> Any:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _file() -> str:
    return f"rank-{ranks.rank()}-of-{ranks.num_ranks()}.safetensors"
