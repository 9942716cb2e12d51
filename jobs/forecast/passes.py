"""Operations, bytes and memory of passes through a model, in closed form from its sizes.

The one place where that is counted; kinds say how many passes of what they make.
"""

import math

from jobs.forecast.effort import Effort
from jobs.models.family import attention_kernel
from jobs.models.sizes import ModelSizes

_WIDE = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""
_STREAM_MOVES, _NEURON_MOVES = 60, 8
"""Numbers that kernels between the products read and write of a token in a block, per unit of
d_model and of d_mlp: norms, rotations, sums and the activation, each by itself as transformers
has them."""
_SCORE_MOVES = 6
"""Times that the math kernel reads or writes float32 scores of attention."""
_LOGIT_MOVES = 10
"""Bytes moved per logit beside its product: it is written, widened, and reduced."""
_BLOCK_KERNELS = 30
"""Kernels of one block, forward."""
_STREAM_HELD, _NEURONS_HELD = 6, 3
"""Vectors as wide as the stream, and as the neurons, that a pass without gradients holds."""


def wide(dtype: str) -> int:
    """Return the bytes of a number in a compute dtype."""
    return _WIDE[dtype]


def uses_math_kernel(model: ModelSizes, dtype: str, attention: str) -> bool:
    """Tell whether attention on a GPU falls to the kernel that holds all scores.

    Without a mask, transformers lets torch share key heads among query heads (`enable_gqa`), which
    in float32 no fused kernel takes: torch 2.13 documents flash attention, which wants 16 bits, and
    the math kernel.
    """
    kernel = attention_kernel({"family": model.family}, attention)
    shares_keys = model.shape.num_key_value_heads < model.shape.num_heads
    return kernel == "sdpa" and dtype == "float32" and shares_keys


def forward(
    model: ModelSizes,
    *,
    dtype: str,
    tokens: float,
    length: float,
    passes: float,
    outputs: float = 0.0,
    math_attention: bool = False,
) -> Effort:
    """Count a model's forward passes over tokens.

    Args:
        model: its sizes.
        dtype: computed in.
        tokens: in all passes together, padding included.
        length: tokens of a sequence.
        passes: number of passes; each reads all weights.
        outputs: tokens whose logits are computed.
        math_attention: whether scores of attention are held and moved in float32.
    """
    shape, size = model.shape, _WIDE[dtype]
    attended = 2 * shape.num_layers * shape.num_heads * shape.d_head * length
    moved = float(size) * (_STREAM_MOVES * shape.d_model + _NEURON_MOVES * shape.d_mlp)
    if math_attention:
        moved += 4 * _SCORE_MOVES * shape.num_heads * length
    blocks = Effort(
        flops=tokens * (2 * model.num_inside + attended),
        operand_bytes=passes * size * model.num_inside,
        moved_bytes=tokens * shape.num_layers * moved,
        kernels=passes * shape.num_layers * _BLOCK_KERNELS,
    )
    return blocks + unembedding(model, dtype=dtype, outputs=outputs, passes=passes)


def unembedding(model: ModelSizes, *, dtype: str, outputs: float, passes: float) -> Effort:
    """Count the logits of some tokens. Args: as of `forward`."""
    head = model.shape.vocab_size * model.shape.d_model
    return Effort(
        flops=outputs * 2 * head,
        operand_bytes=passes * _WIDE[dtype] * head if outputs else 0.0,
        moved_bytes=outputs * model.shape.vocab_size * _LOGIT_MOVES,
    )


def decoding(
    model: ModelSizes, *, dtype: str, prompts: float, length: float, new_tokens: int, budget: int
) -> Effort:
    """Count continuing prompts, keys and values kept: the prompts once, then token by token.

    Args:
        model: its sizes.
        dtype: computed in.
        prompts: how many are continued.
        length: tokens of a prompt.
        new_tokens: tokens of each continuation.
        budget: most tokens of a batch, continuations included.
    """
    shape = model.shape
    rows = max(1, int(budget // (length + new_tokens)))
    batches = math.ceil(prompts / rows)
    prefill = forward(
        model,
        dtype=dtype,
        tokens=prompts * length,
        length=length,
        passes=batches,
        outputs=prompts,
    )
    steps = forward(
        model,
        dtype=dtype,
        tokens=prompts * new_tokens,
        length=2 * (length + new_tokens / 2),  # a new token attends to all before it
        passes=batches * new_tokens,
        outputs=prompts * new_tokens,
    )
    cached = 2 * shape.num_layers * shape.num_key_value_heads * shape.d_head * _WIDE[dtype]
    read = prompts * new_tokens * (length + new_tokens / 2) * cached
    return prefill + steps + Effort(moved_bytes=read)


def weight_bytes(model: ModelSizes, dtype: str) -> float:
    """Return the bytes of a model's weights."""
    return float(_WIDE[dtype] * model.num_parameters)


def vector_bytes(model: ModelSizes, *, tokens: float, wide: int) -> float:
    """Return the bytes of the vectors that a pass without gradients holds, `wide` a number."""
    shape = model.shape
    return tokens * wide * (_STREAM_HELD * shape.d_model + _NEURONS_HELD * shape.d_mlp)


def held_bytes(
    model: ModelSizes,
    *,
    dtype: str,
    tokens: float,
    length: float,
    outputs: float,
    math_attention: bool,
) -> float:
    """Return what a forward pass without gradients holds beside the weights.

    Args:
        model: its sizes.
        dtype: computed in.
        tokens: of one pass, padding included.
        length: tokens of the longest sequence.
        outputs: tokens whose logits are held at once: in the compute dtype, and in float32.
        math_attention: whether scores of attention are held, twice in float32.
    """
    shape, size = model.shape, _WIDE[dtype]
    working = vector_bytes(model, tokens=tokens, wide=size)
    scores = 2 * 4 * tokens * shape.num_heads * length if math_attention else 0.0
    return working + scores + outputs * shape.vocab_size * (size + 4)


def cache_bytes(model: ModelSizes, *, dtype: str, tokens: float) -> float:
    """Return the bytes of keys and values of these tokens."""
    shape = model.shape
    return (
        tokens
        * 2
        * shape.num_layers
        * shape.num_key_value_heads
        * shape.d_head
        * float(_WIDE[dtype])
    )
