"""A base in 4 bits, for an adapter to be trained beside (QLoRA): what it needs, and how."""

from importlib.util import find_spec
from typing import Any

from cluster.errors import UserError
from jobs.training.adapters.lora_settings import Lora

LIBRARY = "bitsandbytes"


def quantisation(lora: Lora | None, dtype: str, device: str) -> Any:
    """What `load_model` takes to quantise what it reads; None where nothing is to be quantised.

    Args:
        lora: what the study says of the adapter.
        dtype: in which products are formed.
        device: where the base is to lie.

    Raises:
        UserError: that is no GPU, or the library is not installed.
    """
    if lora is None or lora.quantised is None:
        return None
    if device == "cpu":
        raise UserError(
            "a quantised base needs a GPU, and this job has none",
            where="lora.quantised",
            allowed=["null"],
            hint="set num_gpus, or train the adapter beside the base as it is",
        )
    if find_spec(LIBRARY) is None:
        raise UserError(
            f"a quantised base needs {LIBRARY}, which is not installed",
            where="lora.quantised",
            allowed=["null"],
            hint="pip install 'deltascale[qlora]' on every machine that trains",
        )
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=lora.quantised,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
        bnb_4bit_quant_storage=torch.uint8,
    )
