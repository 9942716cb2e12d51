"""Export of a checkpoint in another dtype, tensor by tensor, and what rounding takes of its update.

No model is built: a checkpoint of any size passes through the memory of one of its files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cluster.errors import UserError
from jobs.models.checkpoint_files import DESCRIPTIONS, INDEX
from jobs.models.folder import check_model_folder, read_config, read_json_object, weight_files
from jobs.models.model_facts import Dtype
from jobs.models.older_names import config_with_older_names, tokenizer_with_older_names

_TOKENIZER_CONFIG = "tokenizer_config.json"


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How much of an update W - W0 is lost when W is rounded."""

    update_error: float
    """|rounded W - W| / |W - W0|, norms over all weights."""
    entries_lost: float
    """Share of the entries moved by the update that round to the same value as those of W0."""


def export_checkpoint(folder: Path, dtype: Dtype, target: Path) -> None:
    """Write a checkpoint with its floating-point weights in `dtype`; all else as it is.

    Settings stand there under the names of transformers 4, too.

    Raises:
        UserError: the folder is not whole, or a weight is beyond what the dtype holds.
    """
    check_model_folder(folder)
    target.mkdir(parents=True, exist_ok=True)
    num_bytes = sum(
        _export_file(folder / name, dtype, target / name)
        for name in weight_files(folder)
        if name != INDEX
    )
    if (folder / INDEX).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        index["metadata"] = {**index.get("metadata", {}), "total_size": num_bytes}
        _write_json(target / INDEX, index)
    for name in DESCRIPTIONS:
        if (folder / name).is_file() and name not in ("config.json", _TOKENIZER_CONFIG):
            shutil.copyfile(folder / name, target / name)
    if (folder / _TOKENIZER_CONFIG).is_file():
        settings = read_json_object(folder / _TOKENIZER_CONFIG, str(folder))
        _write_json(target / _TOKENIZER_CONFIG, tokenizer_with_older_names(settings))
    config = {name: value for name, value in read_config(folder).items() if name != "torch_dtype"}
    _write_json(target / "config.json", config_with_older_names({**config, "dtype": dtype}))
    check_model_folder(target)


def measure_rounding(base: Path, folder: Path, dtype: Dtype) -> Rounding:
    """Measure how much of the update from `base` to `folder` is lost when rounded to `dtype`.

    Raises:
        UserError: they are not two states of one model, or they are the same.
    """
    target = getattr(torch, dtype)
    update = error = 0.0
    num_moved = num_lost = 0
    for before, after in _tensor_pairs(base, folder):
        moved = before != after
        num_moved += int(moved.sum())
        num_lost += int((moved & (before.to(target) == after.to(target))).sum())
        update += float((after.double() - before.double()).square().sum())
        error += float((after.to(target).double() - after.double()).square().sum())
    if not num_moved:
        raise UserError("the model is its base: there is no update", where="input base")
    return Rounding(update_error=(error / update) ** 0.5, entries_lost=num_lost / num_moved)


def _tensor_pairs(base: Path, folder: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every floating-point tensor of both, in fp32, one pair in memory at a time."""
    with ExitStack() as stack:
        in_base, in_model = (_readers(path, stack) for path in (base, folder))
        if in_base.keys() != in_model.keys():
            name = min(in_base.keys() ^ in_model.keys())
            raise _other_model(f"only one of them has {name}")
        for name in sorted(in_base):
            before, after = in_base[name](name), in_model[name](name)
            if before.shape != after.shape:
                raise _other_model(f"{name} is {tuple(before.shape)} and {tuple(after.shape)}")
            if after.is_floating_point():
                yield before.float(), after.float()


def _other_model(why: str) -> UserError:
    return UserError(f"model and base are not two states of one model: {why}", where="input base")


def _readers(folder: Path, stack: ExitStack) -> dict[str, Callable[[str], Tensor]]:
    """Map the name of every tensor to the reader of the open file that holds it."""
    readers: dict[str, Callable[[str], Tensor]] = {}
    for name in weight_files(folder):
        if name != INDEX:
            file = stack.enter_context(safe_open(folder / name, framework="pt"))
            readers |= dict.fromkeys(file.keys(), file.get_tensor)
    return readers


def _export_file(source: Path, dtype: Dtype, target: Path) -> int:
    """Write one file of weights; return the bytes of its tensors."""
    tensors = load_file(source)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        rounded = tensor.to(getattr(torch, dtype))
        if not bool(torch.isfinite(rounded).all()) and bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"{name} has entries of up to {float(tensor.abs().max()):.3g}, "
                f"more than {dtype} holds",
                where="dtype",
                allowed=["bfloat16", "float32"],
            )
        tensors[name] = rounded
    save_file(tensors, target, metadata={"format": "pt"})
    return sum(tensor.nbytes for tensor in tensors.values())


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
