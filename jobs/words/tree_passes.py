"""Forward passes over the tokens of a trie after prompts whose keys and values are kept.

All nodes that are looked at after one prompt stand in one row behind it. A mask lets each see the
prompt and its own path alone, and its position is that of its depth, so that what follows a node is
what would follow if its path were the text. Keys and values of prompts are read, never changed.
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
    """Nodes behind some prompts of a batch, padded to the most of one prompt."""

    rows: Int64[np.ndarray, " prompts"]
    """Row of each prompt in the cache; several may share one."""
    lengths: Int64[np.ndarray, " prompts"]
    """Tokens of the prompt that the nodes come after."""
    tokens: Int64[np.ndarray, "prompts width"]
    """Token of each node; 0 where padded."""
    parents: Int64[np.ndarray, "prompts width"]
    """Column of the node before it; -1 behind the prompt itself, and where padded."""
    depths: Int64[np.ndarray, "prompts width"]
    """Tokens from the prompt to the node, itself included."""
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
) -> Float[Tensor, "prompts width vocabulary"]:
    """Return the logits after the nodes of kept columns, as the model computes them.

    Pads hold anything.

    The model is told to keep no cache, though it is handed one: what edits activations sees a text
    that is read, not one that is decoded.
    """
    device = model.device
    known = int(tree.lengths.max())
    inputs = {
        "input_ids": to_device(torch.from_numpy(tree.tokens), device),
        "position_ids": to_device(torch.from_numpy(_positions(tree)), device),
        "attention_mask": _masks(model, tree, known),
        "past_key_values": _cache_of(cache, tree.rows, known),
    }
    with torch.inference_mode():
        logits: Tensor = model(**inputs, use_cache=False, logits_to_keep=tree.num_kept).logits
    return logits


def _positions(tree: TreeRows) -> Int64[np.ndarray, "prompts width"]:
    return np.asarray(tree.lengths[:, None] + tree.depths - 1)


def _cache_of(cache: Cache, rows: Int64[np.ndarray, " prompts"], known: int) -> Cache:
    """Copy some rows of a cache, as far as a prompt reaches."""
    from transformers import DynamicCache

    chosen = torch.from_numpy(rows)
    pairs = [(layer.keys, layer.values) for layer in cache.layers]
    return DynamicCache(
        [tuple(part[to_device(chosen, part.device), :, :known] for part in pair) for pair in pairs]
    )


def _masks(model: LanguageModel, tree: TreeRows, known: int) -> Tensor | Mapping[str, Tensor]:
    """Return what is added to attention scores, per kind of layer where the model has several."""
    seen = _seen(tree, known)
    window = getattr(model.config, "sliding_window", None)
    near = seen if window is None else seen & _near(tree, known, int(window))
    if getattr(model.config, "layer_types", None) is None:
        return _additive(near, model)
    return {
        "full_attention": _additive(seen, model),
        "sliding_attention": _additive(near, model),
    }


def _seen(tree: TreeRows, known: int) -> Bool[np.ndarray, "prompts width all"]:
    """Mark the prompt's tokens and, among the nodes, each one's path; a pad sees itself."""
    num_prompts, width = tree.tokens.shape
    prompt = np.arange(known) < tree.lengths[:, None]
    paths = np.zeros((num_prompts, width, width), dtype=bool)
    row, column = np.indices((num_prompts, width))
    here = np.broadcast_to(np.arange(width), (num_prompts, width)).copy()
    for _ in range(int(tree.depths.max(initial=1))):
        real = here >= 0
        paths[row[real], column[real], here[real]] = True
        here = np.where(real, np.take_along_axis(tree.parents, np.maximum(here, 0), axis=1), -1)
    return np.concatenate(
        [np.broadcast_to(prompt[:, None], (num_prompts, width, known)), paths], axis=2
    )


def _near(tree: TreeRows, known: int, window: int) -> Bool[np.ndarray, "prompts width all"]:
    """Mark what lies within the window of a layer whose attention slides."""
    positions = _positions(tree)
    prompt = np.broadcast_to(np.arange(known), (len(positions), known))
    keys = np.concatenate([prompt, positions], axis=1)
    return np.asarray(positions[:, :, None] - keys[:, None] < window)


def _additive(allowed: Bool[np.ndarray, "prompts width all"], model: LanguageModel) -> Tensor:
    mask = torch.zeros(allowed.shape, dtype=model.dtype)
    mask.masked_fill_(torch.from_numpy(~allowed), torch.finfo(model.dtype).min)
    return to_device(mask[:, None], model.device)
