"""Facts of a model that stand with every measurement, and the dtype that follows from its size."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from cluster.errors import UserError

Dtype = Literal["float32", "bfloat16", "float16"]
"""Compute dtypes."""
WantedDtype = Literal["auto", "float32", "bfloat16", "float16"]
"""Compute dtypes as params name them; `auto` follows from the model's size."""

MODEL_FACTS = (
    *("family", "num_parameters", "num_parameters_non_embedding"),
    *("d_model", "num_layers"),
)
"""Columns of the long table that describe a model, and keys of a record's facts."""


class ModelFacts(TypedDict):
    """The fact `model` in the record of a checkpoint."""

    family: str
    """Architecture: the model_type of transformers."""
    num_parameters: int
    """Counted parameters, embeddings included."""
    num_parameters_non_embedding: int
    """Counted parameters without embeddings and unembedding."""
    d_model: int
    """Width of the residual stream."""
    num_layers: int
    """Number of blocks."""
    vocab_size: int
    """Rows of the embedding."""
    config: dict[str, Any]
    """The config in our field names, `family` included."""


_SHAPE = ("family", "d_model", "num_layers")


def require_one_shape(base: Mapping[str, Any], aligned: Mapping[str, Any], where: str) -> None:
    """Raise UserError where the facts of two models say that they cannot be compared."""
    for name in _SHAPE:
        if base[name] != aligned[name]:
            raise UserError(
                f"base and aligned are not two states of one model: {name} is {base[name]} "
                f"and {aligned[name]}",
                where=where,
            )


COMPUTED_OTHERWISE = "computed_otherwise"
"""Fact of a job that compares two models: in what they compute otherwise whatever their weights."""
STORED, DEQUANTISED = "stored_weights", "dequantised"
"""Facts of a model from a `.gguf` file: how its weights were stored, and whether they were packed
into fewer bits than a floating-point number has."""


def rounded_weights(facts: Mapping[str, Any]) -> str | None:
    """Return what the facts of a model say of weights that were rounded; None where none were."""
    return str(facts[STORED]) if facts.get(DEQUANTISED) else None


SINGLE_PRECISION_UP_TO = 2_000_000_000
"""Parameters up to which `auto` computes in float32; never decided by the hardware."""


def compute_dtype(wanted: WantedDtype, num_parameters: int) -> Dtype:
    """Return the wanted dtype; `auto` is float32 up to SINGLE_PRECISION_UP_TO parameters."""
    if wanted != "auto":
        return wanted
    return "float32" if num_parameters <= SINGLE_PRECISION_UP_TO else "bfloat16"
