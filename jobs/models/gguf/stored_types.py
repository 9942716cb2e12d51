"""How the tensors of a `.gguf` file are stored: bytes, bits, and what people are told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.models.gguf.header import GgufHeader, GgufTensor

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

LIBRARY = "gguf"
_FLOATS = ("F16", "BF16", "F32", "F64")


def require_library(where: str) -> None:
    """Raise UserError where the package that unpacks blocks is not installed."""
    if find_spec(LIBRARY) is None:
        raise UserError(
            "a .gguf file needs the package gguf, which is not installed",
            where=where,
            hint="pip install 'deltascale[gguf]' on every machine that takes models",
        )


def type_of(code: int) -> GGMLQuantizationType:
    """Return the type with a code. Raises UserError for one that cannot be unpacked."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

    try:
        kind = GGMLQuantizationType(code)
        dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except (ValueError, KeyError, NotImplementedError) as error:
        named = [each.name for each in GGMLQuantizationType if each.value == code]
        raise UserError(
            f"its weights are of type {named[0] if named else code}, which the package gguf does "
            "not unpack",
            hint="convert it from the original weights, for example to F16 or Q8_0",
        ) from error
    return kind


def num_bytes(tensor: GgufTensor) -> int:
    """Return the bytes of a tensor in the file."""
    from gguf import GGML_QUANT_SIZES

    entries, num_bytes_of_block = GGML_QUANT_SIZES[type_of(tensor.type_code)]
    return tensor.size // int(entries) * int(num_bytes_of_block)


def require_whole(header: GgufHeader) -> None:
    """Raise UserError where a type cannot be unpacked, or the file ends before its last tensor."""
    there = header.path.stat().st_size
    end = max(tensor.offset + num_bytes(tensor) for tensor in header.tensors.values())
    if end > there:
        raise UserError(
            f"it is cut off: {there:,} of {end:,} bytes are there", hint="copy or download it again"
        )


def shares(header: GgufHeader) -> Mapping[str, float]:
    """Return type -> share of the entries of all matrices, most first."""
    counted = header.num_entries()
    total = sum(counted.values())
    return {type_of(code).name: number / total for code, number in counted.items()}


def described(header: GgufHeader) -> str:
    """Say how the weights are stored, by the type of most of them: `4-bit weights, dequantised`."""
    kinds = shares(header)
    most = next(iter(kinds))
    parts = ", ".join(f"{100 * share:.0f} % {name}" for name, share in kinds.items())
    bits = _bits(most)
    how = ", dequantised" if is_quantised(header) else ""
    return f"{bits}-bit weights{how} ({parts})"


def is_quantised(header: GgufHeader) -> bool:
    """Tell whether any matrix is stored in blocks of fewer bits than a floating-point number."""
    return not set(shares(header)) <= {*_FLOATS}


def _bits(name: str) -> int:
    """Return the bits of one weight in a type, scales of blocks not counted: Q4_1, IQ2_XS, BF16."""
    number = re.search(r"\d+", name)
    assert number is not None, name
    return int(number[0])


def is_tied(header: GgufHeader) -> bool:
    """Tell whether the unembedding is the embedding: not written, or written twice alike."""
    output, embedding = (header.tensors.get(f"{n}.weight") for n in ("output", "token_embd"))
    if output is None or embedding is None:
        return output is None
    if (output.shape, output.type_code) != (embedding.shape, embedding.type_code):
        return False
    return _bytes(header, output) == _bytes(header, embedding)


def _bytes(header: GgufHeader, tensor: GgufTensor) -> bytes:
    with header.path.open("rb") as stream:
        stream.seek(tensor.offset)
        return stream.read(num_bytes(tensor))
