"""Writing a store unit by unit: safetensors shards first, `UNIT.json` last, and what a kill left.

A unit counts only when its `UNIT.json` parses, speaks of this plan and these prompts, and every
shard has the digest it lists. What is missing is a difference of ids, never a listing or a count.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jobs.artifact import digest_file
from jobs.tokens.batches import Unit

FOLDER = "units"
"""Folder of an attempt that holds one folder per unit."""
MARKER = "UNIT.json"
"""Written last; without it a unit does not exist."""
SHARD_BYTES = 512 * 2**20
"""A shard is closed before it would grow beyond this."""


def write_unit(
    folder: Path,
    unit: Unit,
    plan_hash: str,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    rows_dtype: str,
) -> None:
    """Write one unit into `folder/<unit>/`; `facts` (small JSON) stand in its marker.

    Arrays named `*.rows` are stored as `rows_dtype`, everything else as it is.
    """
    place = folder / unit.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shards = {}
    for number, names in enumerate(_shards(arrays)):
        file = f"shard-{number:03d}.safetensors"
        dtypes = {
            name: rows_dtype if name.endswith(".rows") else str(arrays[name].dtype)
            for name in names
        }
        _save({name: arrays[name] for name in names}, dtypes, place / file)
        shards[file] = {
            "bytes": (place / file).stat().st_size,
            "xxh3": digest_file(place / file),
            "tensors": {
                name: {"dtype": dtypes[name], "shape": [*arrays[name].shape]} for name in names
            },
        }
    marker = {**_identity(unit, plan_hash), **facts, "shards": shards}
    temporary = place / f"{MARKER}.tmp"
    temporary.write_text(json.dumps(marker, sort_keys=True) + "\n")
    os.replace(temporary, place / MARKER)


def adopt_units(
    folder: Path, earlier: Sequence[Path], units: Sequence[Unit], plan_hash: str
) -> set[int]:
    """Take over every whole unit that earlier attempts left; return the numbers of those taken.

    Files are hard-linked where the disk allows it, after their digests were checked.
    """
    taken = set()
    for unit in units:
        for source in reversed(earlier):
            shards = _whole(source / unit.name, unit, plan_hash)
            if shards is not None:
                _link(source / unit.name, folder / unit.name, [*shards, MARKER])
                taken.add(unit.number)
                break
    return taken


def _identity(unit: Unit, plan_hash: str) -> dict[str, Any]:
    return {
        "unit": unit.number,
        "group": unit.group,
        "token_plan": plan_hash,
        "members": unit.digest,
        "num_prompts": len(unit.members),
        "num_tokens": unit.num_tokens,
    }


def _whole(place: Path, unit: Unit, plan_hash: str) -> list[str] | None:
    """Names of the shards when every byte of the unit is what its marker says, else None."""
    try:
        marker = json.loads((place / MARKER).read_bytes())
        shards = marker["shards"]
        same = all(marker.get(name) == value for name, value in _identity(unit, plan_hash).items())
        if same and all(digest_file(place / file) == shards[file]["xxh3"] for file in shards):
            return list(shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # cut off in the middle of a write: it does not exist
    return None


def _link(source: Path, target: Path, files: Sequence[str]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in files:
        try:
            os.link(source / file, target / file)
        except OSError:
            shutil.copyfile(source / file, target / file)


def _save(arrays: Mapping[str, np.ndarray], dtypes: Mapping[str, str], file: Path) -> None:
    """One safetensors file. Only bfloat16 goes through torch, which takes ten times as long."""
    if "bfloat16" not in dtypes.values():
        from safetensors.numpy import save_file as save_arrays

        save_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file)
        return
    import torch
    from safetensors.torch import save_file as save_tensors

    tensors = {name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in arrays}
    save_tensors(
        {name: tensor.to(getattr(torch, dtypes[name])) for name, tensor in tensors.items()}, file
    )


def _shards(arrays: Mapping[str, np.ndarray]) -> Iterator[list[str]]:
    """Names in order, cut where the bytes would exceed a shard."""
    names: list[str] = []
    size = 0
    for name, array in arrays.items():
        if names and size + array.nbytes > SHARD_BYTES:
            yield names
            names, size = [], 0
        names.append(name)
        size += array.nbytes
    yield names
