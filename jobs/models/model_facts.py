"""What is said of a model wherever it is measured, and the dtype that follows from its size."""

from typing import Literal

Dtype = Literal["float32", "bfloat16", "float16"]
"""What a model may compute in."""

MODEL_FACTS = (
    *("family", "num_parameters", "num_parameters_non_embedding"),
    *("d_model", "num_layers"),
)
"""What every measurement says of its model; columns of the long table, keys of a record's facts."""

SINGLE_PRECISION_UP_TO = 2_000_000_000
"""Parameters up to which `auto` computes in float32; never decided by the hardware."""


def compute_dtype(
    asked: Literal["auto", "float32", "bfloat16", "float16"], num_parameters: int
) -> Dtype:
    """The dtype asked for; `auto` is float32 up to SINGLE_PRECISION_UP_TO parameters."""
    if asked != "auto":
        return asked
    return "float32" if num_parameters <= SINGLE_PRECISION_UP_TO else "bfloat16"
