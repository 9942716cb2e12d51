"""The weights of a trained model written out by its first rank, which has all of them at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.training.trained_weights import copy_whole
from jobs.worker import ranks

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


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
