"""Export of a store to the Hugging Face sharded layout: links to the shards, and an index.

Names of tensors begin with the number of their unit, so no byte is rewritten. The index has no
rows, digests or plan hash: it serves tools that expect one, and never replaces `store.json`.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

from cluster.disk.durable import link_or_copy
from cluster.errors import UserError
from jobs.store.activation_store import ActivationStore
from jobs.store.shard_file import bytes_per_number, open_durably
from jobs.store.store_layout import UNITS

INDEX_FILE = "model.safetensors.index.json"
"""Name of the index in the Hugging Face layout."""


def export_hf_index(store: ActivationStore, folder: Path) -> Path:
    """Fill an empty or new folder with the shards of a store and their index.

    Shards are hard-linked where the disk allows it, after their digests were checked.

    Returns:
        The path of the index.

    Raises:
        UserError: the folder is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError("the folder is not empty", where=str(folder), hint="name a new one")
    weight_map: dict[str, str] = {}
    total = 0
    for unit in store.units:
        for file, shard in unit.marker["shards"].items():
            target = f"unit-{unit.name}-{file}"
            link_or_copy(store.files.path(f"{UNITS}/{unit.name}/{file}"), folder / target)
            weight_map |= dict.fromkeys(shard["tensors"], target)
            tensors = shard["tensors"].values()
            total += sum(bytes_per_number(t["dtype"]) * prod(t["shape"]) for t in tensors)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    with open_durably(folder / INDEX_FILE) as stream:
        stream.write((json.dumps(index, indent=2) + "\n").encode())
    return folder / INDEX_FILE
