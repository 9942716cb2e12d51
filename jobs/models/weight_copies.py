"""Do weights that a checkpoint holds twice agree? Of two that differ, transformers takes one.

It takes `model.safetensors` where shards of another save lie beside it, and unties an unembedding
that differs from the embedding, whatever config.json says of it; other programs do otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cluster.errors import UserError
from jobs.models.checkpoint_files import INDEX, WEIGHTS
from jobs.models.family import Family
from jobs.models.shape import ConfigMapping
from jobs.models.stored_bytes import tensors_in


def refuse_two_saves(folder: Path, listed: Mapping[str, str], where: str) -> None:
    """Raise UserError where one file and shards beside it hold different weights.

    Args:
        folder: a checkpoint with `model.safetensors`.
        listed: tensor -> file, as the list of shards beside it says.
        where: the folder's name in errors.
    """
    names = sorted({*listed.values()} - {WEIGHTS})
    if not names or not all((folder / name).is_file() for name in names):
        return  # a list that an earlier save has left, or one of this very file
    single = tensors_in(folder / WEIGHTS)
    shards = {name: tensors_in(folder / name) for name in names}
    in_shards = {
        tensor: shards[file].get(tensor) for tensor, file in listed.items() if file in shards
    }
    if single.keys() == in_shards.keys():
        pairs = ((tensor, in_shards[name]) for name, tensor in single.items())
        if all(other is not None and tensor.equals(other) for tensor, other in pairs):
            return
    raise UserError(
        f"two different saves lie in this folder: {WEIGHTS}, and the shards that {INDEX} lists",
        where=where,
        hint=f"take one of them away: {WEIGHTS}, or {INDEX} with {', '.join(names[:2])}"
        + (" and the others" if len(names) > 2 else ""),
    )


def refuse_another_head(
    files: Mapping[str, Path], family: Family, config: ConfigMapping, where: str
) -> None:
    """Raise UserError where embeddings are tied, and the unembedding stored is another.

    Args:
        files: tensor -> the file that holds it.
        family: of the model.
        config: the mapping in its config.json.
        where: the folder's name in errors.
    """
    heads = tuple(f"{head}.weight" for head in family.HEADS)
    head = next((name for name in files if name.endswith(heads)), None)
    bare = f"{family.EMBEDDING.rpartition('.')[2]}.weight"
    embedding = next((name for name in files if name.endswith(bare) and name != head), None)
    if head is None or embedding is None or not family.shape(config).tie:
        return
    first, second = tensors_in(files[embedding])[embedding], tensors_in(files[head])[head]
    if first.kind[0] != second.kind[0] or first.equals(second):
        return
    raise UserError(
        f"config.json ties the unembedding to the embedding, and {head} is not {embedding}",
        where=where,
        hint="tie_word_embeddings: false in config.json if the unembedding was trained by itself "
        f"(a merged adapter, added tokens); else take {head} out of the weights",
    )
