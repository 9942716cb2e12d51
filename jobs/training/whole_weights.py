"""The weights of a trained model written out by its first rank, which has all of them at hand."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.training.engine import Engine
from jobs.worker import ranks


def save_whole(model: Any, folder: Path, state: Mapping[str, Any] | None = None) -> None:
    """Write the model as `save_pretrained` does: by the first rank, while the others wait.

    Args:
        model: of transformers or peft, the same on every rank unless `state` is given.
        folder: where to.
        state: its weights by name, of which only the first rank has any.
    """
    from jobs.models.loading import SHARD_SIZE

    if ranks.is_first():
        given = {} if state is None else {"state_dict": dict(state)}
        model.save_pretrained(folder, max_shard_size=SHARD_SIZE, **given)
    ranks.barrier()


def gathered(model: Any, copy_whole: Callable[[Any], Any]) -> dict[str, Any]:
    """On the first rank everything by name that a model's file holds; on the others nothing.

    Args:
        model: one whose weights are divided; all ranks call this.
        copy_whole: weight -> all of it in host memory, on the first rank. One is asked for at a
            time, so that no device holds all of them.
    """
    state: dict[str, Any] = {}
    copies: dict[int, Any] = {}  # tied weights are one tensor under two names
    for name, weight in model.named_parameters(remove_duplicate=False):
        if id(weight) not in copies:
            copies[id(weight)] = copy_whole(weight)
        state[name] = copies[id(weight)]
    buffers = {name: held.cpu() for name, held in model.state_dict().items() if name not in state}
    return {**state, **buffers} if ranks.is_first() else {}


def save_trained(engine: Engine, trainer: Any, tokenizer: Any, folder: Path) -> None:
    """The trained model with its tokenizer; the folder appears whole or not at all.

    All ranks call it, the first one writes.
    """
    temporary = folder.with_name(f"{folder.name}.unfinished")
    if ranks.is_first():
        shutil.rmtree(temporary, ignore_errors=True)
    engine.export(trainer, temporary)
    if ranks.is_first():
        tokenizer.save_pretrained(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    ranks.barrier()
