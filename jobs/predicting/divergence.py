"""How far apart two models are at each output: KL(aligned||base) of their next-token distributions.

Qi et al. 2025, *Safety alignment should be made more than just a few tokens deep*, section 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from jobs.predicting.head import Head
from jobs.predicting.output_tokens import OutputTokens
from jobs.taps.activations import batches_of
from jobs.tokens.positions import Position


def read_final_rows(
    head: Head,
    outputs: OutputTokens,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
) -> Float[Tensor, "outputs d"]:
    """Read the residual stream after the last block at every output, into host memory.

    Rows are kept instead of logits: a row has d numbers, its logits as many as the vocabulary.
    """
    parts, order = [], []
    tokens = np.zeros(len(outputs.plan.token_ids), dtype=bool)
    tokens[outputs.after] = True
    positions = [Position.to_read("response", tokens)]
    for batch, inputs in batches_of(
        outputs.plan, positions, head.device, token_budget, after_batch
    ):
        parts.append(head.rows(inputs).cpu())
        order.append(np.searchsorted(outputs.after, batch.tokens))
    in_plan_order = np.argsort(np.concatenate(order))
    return torch.cat(parts)[torch.from_numpy(in_plan_order)]


def measure_divergences(
    aligned: tuple[Head, Float[Tensor, "outputs d"]],
    base: tuple[Head, Float[Tensor, "outputs d"]],
    after_chunk: Callable[[int], None] = lambda num_done: None,
) -> Float64[np.ndarray, " outputs"]:
    """Compute KL(aligned||base) in nats at every output, over the tokens that both models know.

    In fp64 from fp32 logits: where logits differ by 1e-7, an fp32 softmax is all rounding.
    """
    size = min(head.vocab_size for head, _ in (aligned, base))
    nats = np.zeros(len(aligned[1]))
    # Both in the chunks of the larger vocabulary: equal models then give equal bits.
    largest = max((head for head, _ in (aligned, base)), key=lambda head: head.vocab_size)
    for chunk in largest.chunks(len(nats)):
        p, q = (
            head.logits(rows[chunk])[:, :size].double().log_softmax(dim=-1)
            for head, rows in (aligned, base)
        )
        # KL is not negative; rounding can make it so.
        nats[chunk] = (p.exp() * (p - q.to(p.device))).sum(dim=-1).clamp(min=0).cpu().numpy()
        after_chunk(chunk.stop)
    return nats
