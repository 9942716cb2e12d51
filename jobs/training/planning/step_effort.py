"""Operations and bytes of one optimizer step of one rank: passes, casts, optimizer, collectives."""

from jobs.forecast.effort import Effort
from jobs.forecast.passes import forward, unembedding, uses_math_kernel
from jobs.training.engine import ENGINES, Held
from jobs.training.layout import Layout
from jobs.training.planning.footprint import SINGLE, Training

_FOREACH_MOVES = {"rmsprop": 13, "adamw": 20}
"""Numbers per weight that the kernels of torch's foreach step read and write."""
_CLIP_MOVES = 3
"""Numbers per weight that measuring and scaling the gradients reads and writes."""
_CAST_BYTES, _CAST_AGAIN_BYTES = 14, 8
"""Bytes per weight that autocast moves in a pass, fp32 weights to 16 bits and gradients back; and
again where activations are computed again."""
_ACCUMULATED_BYTES = 12
"""Bytes per weight that adding a gradient to one that is there reads and writes."""
_BACKWARD = 2
"""Products of a backward pass per product of the forward."""
_HOST_BYTES_PER_S, _PCIE_BYTES_PER_S = 40e9, 25e9
"""What a processor steps an offloaded optimizer with, and what its copies reach; assumed."""
_HOST_STEP_BYTES = 28
"""Bytes per weight that the step in host memory reads and writes."""


def pass_effort(training: Training, layout: Layout, length: float) -> Effort:
    """Count one forward and backward pass of a rank over rows of sequences of this length.

    TRL computes the logits of all tokens, in pieces; their backward always computes them again,
    that of blocks does where activations are not kept.
    """
    model = training.model
    tokens = layout.micro_batch * training.sequences_per_row * length
    blocks = forward(
        model,
        dtype=training.dtype,
        tokens=tokens,
        length=length,
        passes=1,
        math_attention=layout.num_gpus > 0
        and uses_math_kernel(model, training.dtype, training.attention),
    )
    backward = _BACKWARD if training.adapter_rank is None else 1
    again = 1 if layout.activation_checkpointing else 0
    head = unembedding(model, dtype=training.dtype, outputs=tokens, passes=1)
    effort = blocks.times(1 + backward + again) + head.times(2 + backward)
    if training.dtype != "float32":
        cast = _CAST_BYTES + again * _CAST_AGAIN_BYTES
        effort += Effort(moved_bytes=cast * float(model.num_inside))
    return effort


def step_effort(training: Training, layout: Layout, length: float) -> Effort:
    """Count one optimizer step of a rank: passes over its rows, collectives, the step itself."""
    engine, trained = ENGINES.find(layout.engine), float(training.num_trained)
    ranks, passes = layout.num_ranks, layout.accumulation(training.global_batch)
    effort = pass_effort(training, layout, length).times(passes)
    effort += Effort(moved_bytes=_ACCUMULATED_BYTES * trained * (passes - 1))
    share = ranks if Held.MOMENTS in engine.SHARDED else 1
    if not layout.offload:
        moves = _FOREACH_MOVES[training.optimizer] + _CLIP_MOVES
        effort += Effort(moved_bytes=SINGLE * moves * trained / share)
    return effort + Effort(sent_bytes=_sent(training, layout, passes))


def _sent(training: Training, layout: Layout, passes: int) -> float:
    """Return bytes that a rank sends for one step, as rings do it.

    Gradients are summed (twice round), or each rank gets the sum of its share and weights are
    gathered after the step; where weights are divided they are gathered for each pass, forward and
    backward.
    """
    ranks = layout.num_ranks
    if ranks == 1:
        return 0.0
    engine = ENGINES.find(layout.engine)
    round_trip = SINGLE * training.num_trained * (ranks - 1) / ranks
    if Held.WEIGHTS in engine.SHARDED:
        weights = training.weight_bytes * (ranks - 1) / ranks
        return passes * (2 * weights + round_trip)
    sends_each_pass = Held.GRADIENTS in engine.SHARDED
    return round_trip * ((passes if sends_each_pass else 1) + 1)


def offloaded_seconds(training: Training, layout: Layout) -> float:
    """Return the seconds of a step that an optimizer in host memory adds; 0 without one."""
    if not layout.offload:
        return 0.0
    share = training.num_trained / layout.num_ranks
    return share * (_HOST_STEP_BYTES / _HOST_BYTES_PER_S + 2 * SINGLE / _PCIE_BYTES_PER_S)
