"""`Shape`: the sizes that decide a model's parameters, read from our fields or from config.json.

Imports neither torch nor transformers, so that a study of thousands of models plans fast.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from cluster.errors import UserError, unknown_name

_REQUIRED = ("num_layers", "d_model", "num_heads", "vocab_size")
_DERIVED = ("num_key_value_heads", "d_head", "d_embedding")
"""Fields that follow from others where they are null; widths of an MLP may, too."""
_FLAGS = (
    *("tie", "parallel", "attention_bias", "mlp_bias"),
    *("qk_norm", "pre_norm", "norm_weights"),
)
_MOST = 2**31 - 1
"""Largest size of anything in a model: tensors are indexed by 32 bits."""
_MOST_SHOWN = 60
_ORIGINAL = "original_max_position_embeddings"
_WIDTH_STEP = 8
"""Derived widths of gated MLPs are multiples of this."""


@runtime_checkable
class HfConfig(Protocol):
    """A transformers config, as far as sizes are read from it."""

    def to_dict(self) -> dict[str, Any]:
        """Return its settings by name."""


ConfigMapping: TypeAlias = Mapping[str, Any]
"""The mapping in a config.json, or our fields."""
ModelConfig: TypeAlias = ConfigMapping | HfConfig
"""Our fields (they have `family`), the mapping in a config.json, or a transformers config."""


@dataclass(frozen=True, kw_only=True)
class ConfigField:
    """The name and default of one of our fields in transformers."""

    name: str
    """Its name in config.json."""
    default: int | bool | None = None
    """Default of the transformers class where config.json has none; None: derived."""
    also: str | None = None
    """A second name that transformers accepts."""
    from_width: Callable[[int], int] | None = None
    """Computes it from d_model where it is left out."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of one model."""

    num_layers: int
    """Blocks."""
    d_model: int
    """Width of the residual stream."""
    num_heads: int
    """Query heads."""
    num_key_value_heads: int
    """Key and value heads; fewer than query heads when these share them."""
    d_head: int
    """Width of one head."""
    d_mlp: int
    """Neurons of one MLP."""
    vocab_size: int
    """Rows of the token embedding."""
    max_positions: int
    """Longest sequence in tokens; of longrope, the longest whose numbers depend on no batch."""
    tie: bool
    """True when the unembedding is the embedding."""
    parallel: bool = False
    """True when attention and MLP read the same residual stream."""
    attention_bias: bool = False
    """True when the attention projections have biases."""
    mlp_bias: bool = False
    """True when the MLP projections have biases."""
    qk_norm: bool = False
    """True when every query and key head is normed."""
    pre_norm: bool = True
    """False when the norms stand after the additions, in the residual stream itself."""
    norm_weights: bool = True
    """False when the norms have neither weights nor biases."""
    d_embedding: int | None = None
    """Width of the token embedding where it is projected into the stream; None = d_model."""

    def counts(self, inside: int, positions: int = 0) -> tuple[int, int]:
        """Return (all parameters, `inside`), given those of blocks and norms.

        Args:
            inside: parameters of the blocks, the final norm and projections.
            positions: rows of a learned position table.
        """
        tokens = self.vocab_size * (1 if self.tie else 2) * (self.d_embedding or self.d_model)
        return inside + tokens + positions * self.d_model, inside


def as_mapping(config: ModelConfig) -> ConfigMapping:
    """Return a config as a mapping."""
    return config if isinstance(config, Mapping) else config.to_dict()


def read_shape(fields: Mapping[str, ConfigField], config: ModelConfig) -> Shape:
    """Read the sizes that a config describes.

    Args:
        fields: the family's FIELDS.
        config: see ModelConfig.

    Raises:
        UserError: a field is missing, unknown, or not the number or flag it must be.
    """
    mapping = as_mapping(config)
    ours = "family" in mapping
    sizes = _our_values(fields, mapping) if ours else _hf_values(fields, mapping)
    where = f"config of family {mapping['family']}" if ours else "config.json"
    for name, value in sizes.items():
        derived = name in _DERIVED or fields[name].from_width is not None
        if value is not None or not derived:
            _check(name if ours else fields[name].name, value, _wanted(name), where)
    for name, field in fields.items():
        if sizes[name] is None and field.from_width is not None:
            sizes[name] = field.from_width(sizes["d_model"])
    return Shape(**_with_heads(sizes, where))


def four_widths(d_model: int) -> int:
    """Return the width of GPT's MLP: four times that of the residual stream."""
    return 4 * d_model


def gated_width(d_model: int) -> int:
    """Return 8/3 of d_model rounded up to 8n: three such matrices cost what two of 4 d_model do.

    Shazeer, GLU Variants Improve Transformer (arXiv 2002.05202), section 3.
    """
    return -(-8 * d_model // (3 * _WIDTH_STEP)) * _WIDTH_STEP


def hf_settings(
    fields: Mapping[str, ConfigField], config: ModelConfig, **extras: object
) -> dict[str, object]:
    """Return our fields under transformers' names, no special tokens, and a family's extras."""
    shape = read_shape(fields, config)
    named = {field.name: getattr(shape, name) for name, field in fields.items()}
    return {**named, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None, **extras}


_Sizes = dict[str, Any]
"""Our field -> its value, which is checked later."""


def _our_values(fields: Mapping[str, ConfigField], mapping: ConfigMapping) -> _Sizes:
    where = f"config of family {mapping['family']}"
    for name in mapping:
        if name not in fields and name != "family":
            raise unknown_name("config field", name, [*fields, "family"], where=where)
    missing = [name for name in _REQUIRED if name not in mapping]
    if missing:
        raise UserError(
            f"the config lacks {', '.join(missing)}", where=where, allowed=[*fields, "family"]
        )
    # What transformers assumes is for one published model: sizes that are left out are derived.
    assumed = {name: fields[name].default for name in (*_FLAGS, "max_positions") if name in fields}
    return {name: mapping.get(name, assumed.get(name)) for name in fields}


def _hf_values(fields: Mapping[str, ConfigField], mapping: ConfigMapping) -> _Sizes:
    values = {}
    for name, field in fields.items():
        second = mapping.get(field.also, field.default) if field.also else field.default
        values[name] = mapping.get(field.name, second)
    longest = values.get("max_positions")
    if isinstance(longest, int):
        values["max_positions"] = min([longest, *_turned_alike(mapping)])
    return values


def _turned_alike(config: ConfigMapping) -> Iterator[int]:
    """Yield up to how many tokens longrope turns the positions of every text alike.

    Beyond that transformers turns all texts of a batch otherwise, the short ones among them, and
    goes on from a cache that was turned as before: numbers would depend on who shares a batch.
    """
    for given in (config.get("rope_scaling"), config.get("rope_parameters")):
        if not isinstance(given, Mapping):
            continue
        for rope in (given, *given.values()):  # one for all layers, or one for each type of layer
            if isinstance(rope, Mapping) and rope.get("rope_type", rope.get("type")) == "longrope":
                most = config.get(_ORIGINAL, rope.get(_ORIGINAL))
                if isinstance(most, int):
                    yield most


def _wanted(name: str) -> str:
    return "true or false" if name in _FLAGS else f"a whole number from 1 to {_MOST:,}"


def _check(name: str, value: object, wanted: str, where: str) -> None:
    is_flag = wanted == _wanted("tie")
    is_size = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST
    if not (isinstance(value, bool) if is_flag else is_size):
        text = repr(value) if not isinstance(value, int) or abs(value) <= _MOST else "larger"
        text = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
        raise UserError(f"{name} is {text}, which is not {wanted}", where=where)


def _with_heads(sizes: _Sizes, where: str) -> _Sizes:
    d_model, num_heads = sizes["d_model"], sizes["num_heads"]
    if sizes.get("d_head") is None:
        if d_model % num_heads:
            raise UserError(
                f"d_model {d_model} is not a multiple of {num_heads} heads", where=where
            )
        sizes["d_head"] = d_model // num_heads
    if sizes.get("num_key_value_heads") is None:
        sizes["num_key_value_heads"] = num_heads
    if num_heads % sizes["num_key_value_heads"]:
        raise UserError(
            f"{num_heads} heads cannot share {sizes['num_key_value_heads']} key-value heads evenly",
            where=where,
        )
    return sizes
