"""Under which names the weights of a checkpoint stand, and under which the family knows them.

Wrappers that a model was trained in (torch.compile, DDP, FSDP, peft) leave their own names among
those of the modules. Where taking them away gives the family's names, that is what is read.
"""

import json
import os
import re
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from cluster.errors import UserError
from jobs.models.family import Family

_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_fpw_module|"
    r"_forward_module|module|base_model\.model)\."
)
"""Names that wrappers put among those of modules."""
_UNMERGED = re.compile(
    r"(?:^|\.)(?:lora_[A-Za-z_]+|base_layer|modules_to_save|original_module|ia3_l)(?:\.|$)"
)
"""Names of an adapter's tensors, and of those that it changes."""
PEFT_PREFIX = "base_model.model."
"""What the name of every tensor of an adapter begins with."""
_LIVE_ADAPTER = re.compile(r"\.lora_[A-Za-z_]+\.\w+\.weight$")
_MOST_NAMES_SHOWN = 3
_COPY_BYTES = 1 << 24

Renaming = Callable[[str], str]
"""Name of a tensor in the files -> its name as the family knows it."""


def plain_names(
    names: Collection[str], family: Family, where: str, *, tied: bool
) -> Renaming | None:
    """Return how tensors must be renamed to be the family's; None where they are.

    Args:
        names: of the tensors.
        family: of the model.
        where: the folder's name in errors.
        tied: whether unembedding and embedding are one, so that either name may stand for both.

    Raises:
        UserError: the names are another model's, or what to take away is not certain.
    """
    if _is_known(names, family) or not any("." in name for name in names):
        return None  # names that are no paths of modules tell nothing
    alone = _only_head(names, family) if tied else None
    if alone is not None:
        as_embedding = partial(_renamed, *alone)
        further = plain_names({*map(as_embedding, names)}, family, where, tied=False)
        return as_embedding if further is None else lambda name: further(as_embedding(name))
    if any(name.endswith("_flat_param") for name in names):
        raise UserError(
            f"the weights were saved as FSDP holds them, many in one tensor: {some_names(names)}",
            where=where,
            hint="save the model with a full state dict (FULL_STATE_DICT) and save_pretrained",
        )
    if any(map(_UNMERGED.search, names)):
        raise UserError(
            "the weights are those of a model with an adapter in it that was not merged: "
            f"{some_names(filter(_UNMERGED.search, names))}",
            where=where,
            hint="load it with peft, merge_and_unload(), and save that; or save the adapter alone "
            "and take it with kind `adapter`",
        )
    bare = {_without_wrappers(name) for name in names}
    inner = _without_prefix(bare, family)
    for renaming in (_without_wrappers, lambda name: inner(_without_wrappers(name))):
        renamed = {renaming(name) for name in names}
        if len(renamed) == len(names) and _is_known(renamed, family):
            return renaming
    raise UserError(
        f"the weights are not named as this family names them: no {family.EMBEDDING}.weight, "
        f"but {some_names(names)}",
        where=where,
        hint=_advice(names, family),
    )


def _only_head(names: Collection[str], family: Family) -> tuple[str, str] | None:
    """Return the unembedding that stands for the embedding too, and the name of that.

    safetensors keeps one name of what is shared, the first one, in `save_model`. None where the
    embedding is there, or the blocks are not this family's.
    """
    if any(name.endswith(_embeddings(family)) for name in names):
        return None
    heads = [
        (name, name.removesuffix(f"{head}.weight"))
        for name in names
        for head in family.HEADS
        if name.endswith(f"{head}.weight")
    ]
    if len(heads) != 1:
        return None
    ((alone, before),) = heads
    paths = (family.BLOCKS, family.BLOCKS.partition(".")[2])
    for blocks, embedding in zip(paths, _embeddings(family), strict=True):
        if any(_without_wrappers(name).startswith(f"{blocks}.") for name in names):
            return alone, before + embedding
    return None


def _renamed(old: str, new: str, name: str) -> str:
    return new if name == old else name


def is_wrapped(name: str) -> bool:
    """Tell the name of a tensor that a wrapper, or peft, has put its own into."""
    return _WRAPPERS.search(name) is not None


def is_of_adapter(name: str) -> bool:
    """Tell the name of a tensor of an adapter that was not merged, or of what it changes."""
    return _UNMERGED.search(name) is not None


def refuse_wrapped_adapter(names: Collection[str], where: str) -> None:
    """Raise UserError where the tensors of an adapter are not named as peft saves them."""
    wrapped = [name for name in names if _WRAPPERS.search(name.removeprefix(PEFT_PREFIX))]
    live = [name for name in names if _LIVE_ADAPTER.search(name)]
    bare = [name for name in names if not name.startswith(PEFT_PREFIX)]
    for odd, why in (
        (wrapped, "a wrapper (torch.compile, DDP, FSDP) was saved with it"),
        (live, "it is the state of a model in training, with the adapter's own name in it"),
        (bare, f"they do not begin with {PEFT_PREFIX!r}"),
    ):
        if odd:
            raise UserError(
                f"the adapter's tensors are not named as peft saves them: {why}: {some_names(odd)}",
                where=where,
                hint="unwrap the model (accelerator.unwrap_model, model._orig_mod) and save the "
                "adapter with peft's save_pretrained",
            )


def wrapping(names: Collection[str], renaming: Renaming) -> str:
    """Return what a renaming takes away, as people read it."""
    first = min(name for name in names if renaming(name) != name)
    plain = renaming(first)
    if first.endswith(plain):
        return first.removesuffix(plain)
    wrappers = ", ".join(sorted({found[0] for found in _WRAPPERS.finditer(first)}))
    return wrappers or f"{first}, which is {plain}"


def rename_weights(path: Path, renaming: Renaming) -> None:
    """Write a safetensors file again with its tensors renamed; whole or not at all."""
    temporary = path.with_name(f"{path.name}.renamed")
    with path.open("rb") as source, temporary.open("wb") as target:
        (length,) = struct.unpack("<Q", source.read(8))
        header = json.loads(source.read(length))
        renamed = {
            name if name == "__metadata__" else renaming(name): entry
            for name, entry in header.items()
        }
        text = json.dumps(renamed, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        target.write(struct.pack("<Q", len(text)) + text)
        while block := source.read(_COPY_BYTES):
            target.write(block)
    os.replace(temporary, path)


def rename_in_index(path: Path, renaming: Renaming) -> None:
    """Write the list of a checkpoint's files again with its tensors renamed."""
    index = json.loads(path.read_text(encoding="utf-8"))
    names: Mapping[str, str] = index["weight_map"]
    index["weight_map"] = {renaming(name): file for name, file in names.items()}
    path.unlink()  # it may be a link to a file of a cache
    path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _is_known(names: Collection[str], family: Family) -> bool:
    """Tell whether the embedding stands there, with the backbone's name before it, or without."""
    return any(name in names for name in _embeddings(family))


def _embeddings(family: Family) -> tuple[str, str]:
    full = f"{family.EMBEDDING}.weight"
    return full, full.partition(".")[2]


def _without_wrappers(name: str) -> str:
    return _WRAPPERS.sub("", name)


def _without_prefix(names: Collection[str], family: Family) -> Renaming:
    """Return what takes away one beginning that all names share and that no wrapper explains.

    The unembedding of a backbone may stand outside.
    """
    outside = tuple(f"{head}." for head in family.HEADS)
    for embedding in _embeddings(family):
        for name in names:
            prefix = name.removesuffix(embedding)
            if (
                prefix != name
                and prefix.endswith(".")
                and all(each.startswith((prefix, *outside)) for each in names)
            ):
                return partial(_remove_prefix, prefix)
    return lambda name: name


def _remove_prefix(prefix: str, name: str) -> str:
    return name.removeprefix(prefix)


def _advice(names: Collection[str], family: Family) -> str:
    inside = sorted(name for name in names if name.endswith(_embeddings(family)))
    if inside:
        prefix = next(
            inside[0].removesuffix(end) for end in _embeddings(family) if inside[0].endswith(end)
        )
        others = some_names(name for name in names if not name.startswith(prefix))
        return (
            f"one model stands under {prefix!r} and {others} beside it: save that model alone with "
            "save_pretrained, see docs/howto/adding-a-family.md"
        )
    return "model_type in config.json is perhaps another model's"


def some_names(names: Iterable[str]) -> str:
    """List the first of some names, and how many more there are."""
    listed = sorted(names)
    more = len(listed) - _MOST_NAMES_SHOWN
    return ", ".join(listed[:_MOST_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
