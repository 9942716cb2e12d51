"""The weights that training changes, whatever engine holds them: by name, whole, and by rank.

Files of them are safetensors with tensors named `part/parameter`, the part being `weight` or what
an optimizer keeps for it.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from jobs.worker import ranks

WEIGHT = "weight"
"""The part that is the parameter itself."""


def trained_weights(trainer: Any) -> dict[str, Any]:
    """Parameters that training changes, by name."""
    return {
        name: parameter
        for name, parameter in trainer.model.named_parameters()
        if parameter.requires_grad
    }


def owners(weights: Mapping[str, Any], num_ranks: int) -> dict[str, int]:
    """The rank that writes each: largest first, each to whoever has least so far."""
    sizes = {name: getattr(each, "ds_numel", each.numel()) for name, each in weights.items()}
    found, totals = {}, [0] * num_ranks
    for name in sorted(sizes, key=lambda each: (-sizes[each], each)):
        found[name] = totals.index(min(totals))
        totals[found[name]] += sizes[name]
    return found


def held(weight: Any) -> Any:
    """Of a weight what this rank has of it between steps: all, or its piece."""
    if hasattr(weight, "ds_tensor"):
        piece = weight.ds_tensor.detach().flatten()
        # ZeRO-3 makes pieces equal: beyond the end of the weight the last ones hold anything.
        return piece[: max(0, weight.ds_numel - ranks.rank() * piece.numel())]
    return weight.to_local() if hasattr(weight, "to_local") else weight


def whole(weight: Any, changed_by: int | None = None) -> AbstractContextManager[Any]:
    """While it stands, all ranks have all of a weight. All ranks enter it together.

    Args:
        weight: a parameter.
        changed_by: the rank whose changes all get where the weight is divided (ZeRO-3).
    """
    if not hasattr(weight, "ds_id"):
        return nullcontext()
    import deepspeed

    gathered: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(
        [weight], modifier_rank=changed_by
    )
    return gathered


def write_tensors(tensors: Mapping[str, Any], path: Path) -> None:
    """A file of them."""
    from safetensors.torch import save_file

    save_file(dict(tensors), path)


def stored_tensors(folder: Path, pattern: str) -> Iterator[tuple[str, str, Any]]:
    """(part, parameter, tensor) of everything in the files of a folder, one at a time."""
    from safetensors import safe_open

    for path in sorted(folder.glob(pattern)):
        with safe_open(path, framework="pt") as stream:
            for key in stream.keys():  # noqa: SIM118 - it is no mapping
                part, _, name = key.partition("/")
                yield part, name, stream.get_tensor(key)
