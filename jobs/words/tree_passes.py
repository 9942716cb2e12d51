"""Forward passes over the tokens of a trie after prompts whose keys and values are kept.

All nodes that are looked at after one prompt stand in one row behind it; several prompts may share
a row. A mask lets each node see its prompt and its own path alone, and its position is that of its
depth, so that what follows a node is what would follow if its path were the text. Keys and values
of prompts are read, never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from jobs.models.device import to_device
from jobs.models.language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import Cache


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeRows:
    """Nodes behind some prompts of a batch, in rows padded to the longest."""

    rows: Int64[np.ndarray, " prompts"]
    """Row of each prompt in the cache; several may share one."""
    lengths: Int64[np.ndarray, " prompts"]
    """Tokens of the prompt that the nodes come after."""
    tokens: Int64[np.ndarray, "lanes width"]
    """Token of each node; 0 where padded."""
    parents: Int64[np.ndarray, "lanes width"]
    """Column of the node before it; -1 behind the prompt itself, and where padded."""
    depths: Int64[np.ndarray, "lanes width"]
    """Tokens from the prompt to the node, itself included."""
    owners: Int64[np.ndarray, "lanes width"] | None = None
    """Prompt of each node, all nodes of one in one row; -1 where padded. None: each row has one."""
    num_kept: int = 0
    """The last columns, whose logits alone are wanted; 0: all."""
    num_nodes: int = 0
    """Nodes whose logits are wanted: neither padding nor what only lies on their way."""


def empty_cache() -> Cache:
    """Make a cache that keeps every token, also in models whose attention slides."""
    from transformers import DynamicCache

    return DynamicCache()


def forward_tree(
    model: LanguageModel, cache: Cache, tree: TreeRows
) -> Float[Tensor, "lanes width vocabulary"]:
    """Return the logits after the nodes of kept columns, as the model computes them.

    Pads hold anything.

    The model is told to keep no cache, though it is handed one: what edits activations sees a text
    that is read, not one that is decoded.
    """
    device = model.device
    prefix = _Prefix.of(tree)
    inputs = {
        "input_ids": to_device(torch.from_numpy(tree.tokens), device),
        "position_ids": to_device(torch.from_numpy(_positions(tree)), device),
        "attention_mask": _masks(model, tree, prefix),
        "past_key_values": _cache_of(cache, tree.rows, prefix),
    }
    with torch.inference_mode():
        logits: Tensor = model(**inputs, use_cache=False, logits_to_keep=tree.num_kept).logits
    return logits


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prefix:
    """The prompts' tokens that stand before the nodes of each row, one prompt after the other."""

    prompts: Int64[np.ndarray, "lanes known"]
    """Prompt of each; -2 where padded."""
    positions: Int64[np.ndarray, "lanes known"]
    """Its position in the prompt."""

    @classmethod
    def of(cls, tree: TreeRows) -> _Prefix:
        """Line up the prompts of each row."""
        lanes = [np.unique(some[some >= 0]) for some in _owners(tree)]
        shape = len(lanes), max(int(tree.lengths[some].sum()) for some in lanes)
        prompts, positions = np.full(shape, -2), np.zeros(shape, dtype=np.int64)
        for lane, some in enumerate(lanes):
            lengths = tree.lengths[some]
            prompts[lane, : lengths.sum()] = np.repeat(some, lengths)
            positions[lane, : lengths.sum()] = np.concatenate([np.arange(n) for n in lengths])
        return cls(prompts=prompts, positions=positions)


def _owners(tree: TreeRows) -> Int64[np.ndarray, "lanes width"]:
    if tree.owners is not None:
        return tree.owners
    return np.broadcast_to(np.arange(len(tree.rows))[:, None], tree.tokens.shape)


def _positions(tree: TreeRows) -> Int64[np.ndarray, "lanes width"]:
    owners = _owners(tree)
    return np.asarray(np.where(owners >= 0, tree.lengths[owners], 0) + tree.depths - 1)


def _cache_of(cache: Cache, rows: Int64[np.ndarray, " prompts"], prefix: _Prefix) -> Cache:
    """Copy the keys and values of the prompts of each row."""
    from transformers import DynamicCache

    chosen = torch.from_numpy(rows[prefix.prompts]), torch.from_numpy(prefix.positions)
    copied: list[tuple[Tensor, ...]] = []
    for layer in cache.layers:
        row, at = (to_device(index, layer.keys.device) for index in chosen)
        pair = layer.keys, layer.values
        copied.append(tuple(part.transpose(1, 2)[row, at].transpose(1, 2) for part in pair))
    return DynamicCache(copied)


def _masks(model: LanguageModel, tree: TreeRows, prefix: _Prefix) -> Tensor | Mapping[str, Tensor]:
    """Return what is added to attention scores, per kind of layer where the model has several."""
    seen = _seen(tree, prefix)
    window = getattr(model.config, "sliding_window", None)
    near = seen if window is None else seen & _near(tree, prefix, int(window))
    if getattr(model.config, "layer_types", None) is None:
        return _additive(near, model)
    return {
        "full_attention": _additive(seen, model),
        "sliding_attention": _additive(near, model),
    }


def _seen(tree: TreeRows, prefix: _Prefix) -> Bool[np.ndarray, "lanes width all"]:
    """Mark the prompt's tokens and, among the nodes, each one's path; a pad sees itself."""
    num_lanes, width = tree.tokens.shape
    prompt = prefix.prompts[:, None] == _owners(tree)[:, :, None]
    paths = np.zeros((num_lanes, width, width), dtype=bool)
    row, column = np.indices((num_lanes, width))
    here = np.broadcast_to(np.arange(width), (num_lanes, width)).copy()
    for _ in range(int(tree.depths.max(initial=1))):
        real = here >= 0
        paths[row[real], column[real], here[real]] = True
        here = np.where(real, np.take_along_axis(tree.parents, np.maximum(here, 0), axis=1), -1)
    return np.concatenate([prompt, paths], axis=2)


def _near(tree: TreeRows, prefix: _Prefix, window: int) -> Bool[np.ndarray, "lanes width all"]:
    """Mark what lies within the window of a layer whose attention slides."""
    positions = _positions(tree)
    keys = np.concatenate([prefix.positions, positions], axis=1)
    return np.asarray(positions[:, :, None] - keys[:, None] < window)


def _additive(allowed: Bool[np.ndarray, "lanes width all"], model: LanguageModel) -> Tensor:
    mask = torch.zeros(allowed.shape, dtype=model.dtype)
    mask.masked_fill_(torch.from_numpy(~allowed), torch.finfo(model.dtype).min)
    return to_device(mask[:, None], model.device)
