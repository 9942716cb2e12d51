"""The config of a model, made small: fewer and narrower blocks of the same architecture."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.models.family import Family, family_of_config
from jobs.models.shape import Shape

WIDTH = 32
"""d_model of every stand-in, so that a vector of one study fits all of them."""
_HEAD = 8
_LAYERS = 4
_MOST_QUERIES = 16
_NARROWEST_MLP = 64
_SMALLEST = 1e5
"""Parameters from which on a larger model has a wider MLP as its stand-in."""


def small_fields(fields: Mapping[str, Any], *, keeps_layers: bool = False) -> dict[str, Any]:
    """Return our fields of a model with its attention, MLP, norms, positions and tying, but small.

    Larger models become larger ones, by the width of their MLPs.

    Args:
        fields: ours, `family` among them, as a study gives them.
        keeps_layers: whether the number of blocks stays, because layers are named by number.

    Raises:
        UserError: a family or a field that does not exist.
    """
    family = family_of_config(fields)
    whole = {"vocab_size": 1024, **fields}
    sizes = _sizes(family, family.shape(whole), family.num_parameters(whole)[0], keeps_layers)
    return {**fields, **{name: value for name, value in sizes.items() if name in family.FIELDS}}


def small_mapping(config: Mapping[str, Any], *, keeps_layers: bool = False) -> dict[str, Any]:
    """Return a config.json made small in the same way; what it says beside sizes stays."""
    family = family_of_config(config)
    sizes = _sizes(family, family.shape(config), family.num_parameters(config)[0], keeps_layers)
    small = dict(config)
    for name, value in sizes.items():
        field = family.FIELDS.get(name)
        if field is not None:
            small.pop(field.also or "", None)
            small[field.name] = value
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        small["layer_types"] = _first_of_each(kinds, sizes["num_layers"])
    small.pop("quantization_config", None)
    return small


def _sizes(family: Family, shape: Shape, num_parameters: int, keeps_layers: bool) -> dict[str, Any]:
    queries, keys = _heads(shape, has_width="d_head" in family.FIELDS)
    steps = max(0, round(2 * math.log2(max(num_parameters, 1) / _SMALLEST)))
    sizes = {
        "num_layers": shape.num_layers if keeps_layers else min(shape.num_layers, _LAYERS),
        "d_model": WIDTH,
        "num_heads": queries,
        "num_key_value_heads": keys,
        "d_head": _HEAD,
        "d_mlp": _NARROWEST_MLP + 8 * steps,
    }
    if shape.d_embedding is not None:
        is_projected = shape.d_embedding != shape.d_model
        sizes["d_embedding"] = WIDTH // 2 if is_projected else WIDTH
    return sizes


def _heads(shape: Shape, *, has_width: bool) -> tuple[int, int]:
    """Return query and key heads: shared as in the model, and one key head where it has one."""
    shared = shape.num_heads // shape.num_key_value_heads
    keys = min(shape.num_key_value_heads, 2)
    if shared == 1:
        return WIDTH // _HEAD, WIDTH // _HEAD
    if not has_width:
        return WIDTH // _HEAD, keys
    # Some families want heads that divide the width, whatever their own.
    sharing = 2 ** int(math.log2(min(shared, _MOST_QUERIES // keys)))
    return keys * sharing, keys


def _first_of_each(kinds: Sequence[str], number: int) -> list[str]:
    """Return the kinds of the first blocks, the last ones changed so that no kind is lost."""
    kept = list(kinds[:number])
    lost = [kind for kind in dict.fromkeys(kinds) if kind not in kept]
    return kept[: max(0, number - len(lost))] + lost[:number] if lost else kept
