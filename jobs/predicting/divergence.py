"""How far apart two models are at each output: KL(aligned||base) of their next-token distributions.

Qi et al. 2025, *Safety alignment should be made more than just a few tokens deep*, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from jobs.predicting.head import Head
from jobs.predicting.output_tokens import OutputTokens
from jobs.taps.activations import Inputs
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.positions import Position

if TYPE_CHECKING:
    from torch import Tensor


def read_final_rows(
    head: Head,
    outputs: OutputTokens,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda done: None,
) -> Float[Tensor, "outputs d"]:
    """What leaves the last block where each output is predicted, in host memory.

    Rows and not logits are kept: they are d and not a vocabulary wide.
    """
    import torch

    plan, position = outputs.plan, _position(outputs)
    parts, order, done = [], [], 0
    for members in cut_batches(plan, np.arange(len(plan.prompts)), token_budget):
        batch = pad_batch(plan, members, [position])
        if len(batch.gathered):
            parts.append(head.rows(Inputs(batch, head.device)).cpu())
            order.append(np.searchsorted(outputs.after, batch.tokens))
        done += len(members)
        after_batch(done)
    back = np.argsort(np.concatenate(order))
    return torch.cat(parts)[torch.from_numpy(back)]


def measure_divergences(
    aligned: tuple[Head, Tensor],
    base: tuple[Head, Tensor],
    after_chunk: Callable[[int], None] = lambda done: None,
) -> Float64[np.ndarray, " outputs"]:
    """KL(aligned||base) in nats at every output, over the tokens that both models know.

    In fp64 from fp32 logits: at 1e-7 of the logits apart, an fp32 softmax is all rounding.
    """
    size = min(head.vocab_size for head, _ in (aligned, base))
    found = np.zeros(len(aligned[1]))
    # Both in the same chunks, of the larger vocabulary: equal models then give equal bits.
    largest = max((head for head, _ in (aligned, base)), key=lambda head: head.vocab_size)
    for part in largest.parts(len(found)):
        p, q = (
            head.logits(rows[part])[:, :size].double().log_softmax(dim=-1)
            for head, rows in (aligned, base)
        )
        # Never below 0 but for rounding.
        found[part] = (p.exp() * (p - q.to(p.device))).sum(dim=-1).clamp(min=0).cpu().numpy()
        after_chunk(part.stop)
    return found


def _position(outputs: OutputTokens) -> Position:
    marked = np.zeros(len(outputs.plan.token_ids), dtype=bool)
    marked[outputs.after] = True
    return Position(
        label="output",
        policy="response",
        tokens=marked,
        kept=np.zeros_like(marked),
        pooled=False,
        largest_group=0,
    )
