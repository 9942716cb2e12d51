"""Contract: what a model family provides. Families live in `families/`, named by their model_type.

A family is data about stock Hugging Face modules: where its fields stand in config.json, where its
blocks and sites are, and its parameter count in closed form. Weights and modules are never edited.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from cluster.errors import UserError, unknown_name
from jobs.door import Door
from jobs.models.shape import (
    ConfigField,
    ConfigMapping,
    ModelConfig,
    Shape,
    as_mapping,
    hf_settings,
    read_shape,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig

StreamSite = Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"]
"""Sites as wide as the model: the residual stream, and what is added to it."""
NeuronSite = Literal["mlp_act", "mlp_gate", "mlp_linear"]
"""Sites as wide as the MLP; mlp_act = mlp_gate * mlp_linear where the MLP is gated."""
Site = Literal[StreamSite, NeuronSite]
"""A place in a block."""
STREAM_SITES: tuple[str, ...] = get_args(StreamSite)
NEURON_SITES: tuple[str, ...] = get_args(NeuronSite)
SITES: tuple[str, ...] = get_args(Site)


@dataclass(frozen=True, kw_only=True)
class Tap:
    """Where one site is read: a module, and which side of it."""

    module: str
    """Path of the module relative to its block; empty for the block itself."""
    side: Literal["in", "out"]
    """Its first positional input, or its output (the first entry where that is a tuple)."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A site that a family does not have."""

    reason: str
    """Why, as a table's footnote says it."""


PARALLEL = Missing(reason="attention and MLP run in parallel: nothing lies between them")
"""The middle of a block that adds attention and MLP at once."""

UNGATED = Missing(reason="the MLP has no gate: mlp_act is all there is of a neuron")
"""The two parts of a gated neuron, in a family without."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """Bytes that autograd keeps of one token in one block, until its backward pass."""

    stream: int
    """Per unit of d_model; of query width too where both are always the same."""
    queries: int = 0
    """Per unit of the query heads' width."""
    key_values: int = 0
    """Per unit of the key heads' width."""
    neurons: int
    """Per unit of d_mlp."""
    scores: int
    """Per query head and token attended to, where the eager kernel keeps them."""


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """Where a block keeps its neurons: MLP(x) = sum of m_i v_i, one key and value vector for each.

    Each path is of a module with a `weight`, relative to the block.
    """

    up: str
    """Its weights are the keys k_i; of a gated MLP, those of the linear part."""
    down: str
    """Its weights are the value vectors v_i, its input the m_i."""
    gate: str | None = None
    """Its weights are the keys of the gate; None where the MLP has none."""
    activation: str | None = None
    """Module between the gate's products and the neurons, without a `weight`; None as `gate`."""
    inputs_first: bool = False
    """Weights are stored as [inputs, outputs] (GPT-2's Conv1D), not as [outputs, inputs]."""
    gain: str | None = None
    """A norm between the value vectors and the residual stream (Gemma): what it does to directions
    is to stretch them by 1 + weight."""


class Family(ABC):
    """What one model family provides; the class is named after its file (`gpt_neox`: `GptNeox`)."""

    FIELDS: ClassVar[Mapping[str, ConfigField]]
    """Our name of a config field -> its place in config.json."""
    BLOCKS: ClassVar[str]
    """Path of the list of blocks, from the root of the causal language model."""
    FINAL_NORM: ClassVar[str]
    """Path of the norm after the last block."""
    EMBEDDING: ClassVar[str]
    """Path of the token embedding."""
    HEADS: ClassVar[tuple[str, ...]] = ("lm_head",)
    """Paths under which files hold the unembedding, that of published checkpoints first."""
    PROJECTION: ClassVar[str | None] = None
    """Path of what projects the normed stream to embeddings that are narrower; None: never are."""
    NORMS: ClassVar[tuple[str, str | None]]
    """Norms of a block whose inputs are the residual stream before attention and before the MLP;
    None where attention and MLP read the same stream."""
    ADDED: ClassVar[tuple[str, str]]
    """Modules whose outputs attention and MLP add to the residual stream."""
    SAVED: ClassVar[Mapping[str, Saved]]
    """What training keeps, by the dtype it computes in; weights are float32 in both."""
    MLP: ClassVar[Mlp]
    """Where each block keeps keys and value vectors."""
    HF_CONFIG: ClassVar[str]
    """Name of the config class in `transformers`."""
    LACKS_KERNELS: ClassVar[tuple[str, ...]] = ()
    """Attention kernels that the family's modules cannot use."""

    def sites(self, config: ModelConfig) -> Mapping[str, Tap | Missing]:
        """Map every name of SITES to where a model of this config shows it, or why it cannot.

        As NORMS, ADDED and MLP say, unless a family overrides this.
        """
        entry, middle = self.NORMS
        attention, mlp = self.ADDED
        gate = self.MLP.activation
        return {
            "resid_pre": Tap(module=entry, side="in"),
            "resid_mid": PARALLEL if middle is None else Tap(module=middle, side="in"),
            "resid_post": Tap(module="", side="out"),
            "attn_out": Tap(module=attention, side="out"),
            "mlp_out": Tap(module=mlp, side="out"),
            "mlp_act": Tap(module=self.MLP.down, side="in"),
            "mlp_gate": UNGATED if gate is None else Tap(module=gate, side="out"),
            "mlp_linear": UNGATED if gate is None else Tap(module=self.MLP.up, side="out"),
        }

    @abstractmethod
    def num_parameters(self, config: ModelConfig) -> tuple[int, int]:
        """Count all parameters, tied weights once; and those outside both embeddings."""

    def hf_extras(self, shape: Shape) -> Mapping[str, object]:
        """Return settings of the transformers config beyond FIELDS, such as no dropout."""
        return {}

    def shape(self, config: ModelConfig) -> Shape:
        """Read the sizes that a config describes; see `read_shape`."""
        return read_shape(self.FIELDS, config)

    def hf_config(self, fields: Mapping[str, object]) -> PretrainedConfig:
        """Build the transformers config for our fields: no dropout, no special tokens set."""
        import transformers

        settings = hf_settings(self.FIELDS, fields, **self.hf_extras(self.shape(fields)))
        return getattr(transformers, self.HF_CONFIG)(**settings)


_HOW_TO_ADD = "a family is one file, jobs/models/families/{}.py: see docs/howto/adding-a-family.md"

FAMILIES: Door[Family] = Door(
    "model family", "jobs.models.families", separator="_", contract=Family
)


def names() -> list[str]:
    """List the model_type of every supported family, sorted."""
    return FAMILIES.names()


def family_of(model_type: str, where: str | None = None) -> Family:
    """Return the family of a model_type.

    Raises:
        UserError: not supported; names those that are and how to add one.
    """
    if model_type not in names():
        unknown = unknown_name("model family", model_type, names(), where=where)
        raise UserError(
            unknown.error.replace("unknown", "unsupported"),
            where=where,
            allowed=unknown.allowed,
            hint=(f"{unknown.hint} " if unknown.hint else "") + _HOW_TO_ADD.format(model_type),
        )
    return FAMILIES.find(model_type)


def attention_kernel(config: ModelConfig, wanted: str) -> str:
    """Return the wanted kernel, or `eager` where the family lacks it, on every machine alike."""
    return "eager" if wanted in family_of_config(config).LACKS_KERNELS else wanted


def family_of_config(config: ModelConfig, where: str | None = None) -> Family:
    """Return the family of our fields, of the mapping in a config.json, or of a HF config.

    Raises:
        UserError: no model_type, or a family that is not supported.
    """
    mapping = as_mapping(config)
    model_type = name_of_family(mapping)
    text = mapping.get("text_config")
    if isinstance(text, Mapping) and text.get("model_type") in names():
        raise UserError(
            f"{model_type} sees more than text; only the text model inside it is supported",
            where=where,
            allowed=names(),
            hint=f"save its {text['model_type']} alone: see docs/howto/adding-a-family.md",
        )
    if not isinstance(model_type, str):
        raise UserError(
            "the config does not say which model it is: it has no model_type",
            where=where,
            allowed=names(),
        )
    if "family" not in mapping and model_type not in names():
        raise _unsupported(model_type, mapping, where)
    return family_of(model_type, where)


def name_of_family(config: ConfigMapping) -> Any:
    """Return the family that our fields name, or that transformers makes of a config.json.

    That is not always the one that it names. Whatever stands there in place of a name is returned.
    """
    if "family" in config:
        return config["family"]
    named = config.get("model_type")
    return "ministral" if named == "mistral" and "layer_types" in config else named


def _unsupported(model_type: str, config: ConfigMapping, where: str | None) -> UserError:
    """Make the fault of a config.json, whose model_type nobody mistyped: no name is near it."""
    made = "".join(map(str, config.get("architectures") or ()))
    is_no_decoder = config.get("is_encoder_decoder") or "ForMaskedLM" in made
    named = config.get("model_type")
    another = "" if named == model_type else f": transformers takes {named} with layer_types for it"
    return UserError(
        f"unsupported model family {model_type!r}{another}",
        where=where,
        allowed=names(),
        hint="it is no model that continues texts from left to right, and no family can be added"
        if is_no_decoder
        else _HOW_TO_ADD.format(model_type),
    )
