"""The weights that training changes, whatever engine holds them: by name, whole, and by rank.

Files of them are safetensors with tensors named `part/parameter`, the part being `weight` or what
an optimizer keeps for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.worker import ranks

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from transformers import PreTrainedModel, Trainer

WEIGHT = "weight"
"""The part that is the parameter itself."""


def trained_weights(trainer: Trainer) -> dict[str, Parameter]:
    """Return the parameters that training changes, by name."""
    return {
        name: parameter
        for name, parameter in trainer.model.named_parameters()
        if parameter.requires_grad
    }


def owners(weights: Mapping[str, Tensor], num_ranks: int) -> dict[str, int]:
    """Return the rank that writes each weight: largest first, to the rank with the least so far."""
    sizes = {name: getattr(weight, "ds_numel", weight.numel()) for name, weight in weights.items()}
    ranks_of: dict[str, int] = {}
    totals = [0] * num_ranks
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        ranks_of[name] = totals.index(min(totals))
        totals[ranks_of[name]] += sizes[name]
    return ranks_of


def local_part(weight: Tensor) -> Tensor:
    """Return what this rank holds of a weight between steps: all of it, or its piece."""
    if hasattr(weight, "ds_tensor"):
        piece: Tensor = weight.ds_tensor.detach().flatten()
        # ZeRO-3 makes pieces equal: beyond the end of the weight the last ones hold anything.
        num_elements: int = getattr(weight, "ds_numel")  # noqa: B009 - torch does not declare it
        return piece[: max(0, num_elements - ranks.rank() * piece.numel())]
    if hasattr(weight, "to_local"):
        local: Tensor = weight.to_local()
        return local
    return weight


def gather(weight: Parameter, changed_by: int | None = None) -> AbstractContextManager[object]:
    """Give all ranks all of a weight for as long as the context lasts; all enter it together.

    Args:
        weight: a parameter.
        changed_by: the rank whose changes all get where the weight is divided (ZeRO-3).
    """
    if not hasattr(weight, "ds_id"):
        return nullcontext()
    import deepspeed

    context: AbstractContextManager[object] = deepspeed.zero.GatheredParameters(
        [weight], modifier_rank=changed_by
    )
    return context


def copy_whole(weight: Parameter) -> Tensor | None:
    """Copy all of a weight to host memory in fp32, on the first rank; all ranks call it."""
    with gather(weight):
        whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
        return whole.detach().float().cpu().clone() if ranks.is_first() else None


def rank_file(suffix: str = ".safetensors") -> str:
    """Return the name of this rank's file in a checkpoint."""
    return f"rank-{ranks.rank()}-of-{ranks.num_ranks()}{suffix}"


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name to a safetensors file."""
    from safetensors.torch import save_file

    save_file(dict(tensors), path)


def read_tensors(folder: Path, pattern: str) -> Iterator[tuple[str, str, Tensor]]:
    """Yield (part, parameter, tensor) of everything in the files of a folder, one at a time."""
    from safetensors import safe_open

    for path in sorted(folder.glob(pattern)):
        with safe_open(path, framework="pt") as stream:
            for key in stream.keys():  # noqa: SIM118 - it is no mapping
                part, _, name = key.partition("/")
                yield part, name, stream.get_tensor(key)


def save_whole(
    model: PreTrainedModel, folder: Path, state: Mapping[str, Tensor | None] | None = None
) -> None:
    """Write the model as `save_pretrained` does: by the first rank, while the others wait.

    Args:
        model: of transformers or peft, the same on every rank unless `state` is given.
        folder: where to.
        state: weights by name, of which only the first rank has any.
    """
    from jobs.models.loading import SHARD_SIZE

    if ranks.is_first():
        given = {} if state is None else {"state_dict": dict(state)}
        model.save_pretrained(folder, max_shard_size=SHARD_SIZE, **given)
    ranks.barrier()


def gather_state(model: PreTrainedModel) -> dict[str, Tensor | None]:
    """Return, on the first rank, every tensor of a model's file by name; on the others, nothing.

    All ranks call it. Divided weights are gathered one at a time: no device holds all of them.
    """
    state: dict[str, Tensor | None] = {}
    copies: dict[int, Tensor | None] = {}  # tied weights are one tensor under two names
    for name, weight in model.named_parameters(remove_duplicate=False):
        if id(weight) not in copies:
            copies[id(weight)] = copy_whole(weight)
        state[name] = copies[id(weight)]
    buffers = {
        name: tensor.cpu() for name, tensor in model.state_dict().items() if name not in state
    }
    return {**state, **buffers} if ranks.is_first() else {}
