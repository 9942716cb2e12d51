"""Log-probability that a model gives to each completion, summed over the completion's tokens.

One function for the reference and for validation, so that a margin of a model against itself is
zero up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from jobs.models.device import to_device
from jobs.training.objective import ScoredPairs
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.worker import ranks

Running: TypeAlias = PreTrainedModel | Module
"""A model, or what an engine has wrapped around it."""

Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]
"""(prompt ids, completion ids) of each sequence."""


Value = Callable[[int, Tensor, Tensor], Tensor]
"""(place among the sequences, logits [token, vocabulary] of a completion, its token ids) -> a
number, shape ()."""


def sum_log_probabilities(
    model: Running,
    sequences: Sequences,
    *,
    batch_size: int,
    dtype: str = "float32",
    after_batch: Callable[[int], None] = lambda done: None,
) -> Float64[np.ndarray, " sequences"]:
    """Sum log p(token | all tokens before it) over the tokens of each completion, in nats.

    Softmax in fp32, sums in fp64. See `per_completion` for the arguments.
    """
    return per_completion(
        model,
        sequences,
        batch_size=batch_size,
        dtype=dtype,
        value=lambda _, logits, token_ids: _sum(logits, token_ids),
        after_batch=after_batch,
    )


def per_completion(
    model: Running,
    sequences: Sequences,
    *,
    batch_size: int,
    dtype: str,
    value: Value,
    after_batch: Callable[[int], None] = lambda done: None,
) -> Float64[np.ndarray, " sequences"]:
    """Return a number for each completion, from the logits that predict its tokens.

    Batches are cut from the sequences sorted by length, longest first: memory runs out at the start
    or not at all, and the same sequences give the same batches.

    Args:
        model: a causal language model; its mode (train or eval) is kept.
        sequences: what to score.
        batch_size: sequences per forward pass.
        dtype: `float32`, or `bfloat16` to compute in under autocast over fp32 weights.
        value: of a completion; a text's first token is predicted by nothing and left out.
        after_batch: called with the number of sequences that are done.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-sum(map(len, sequences[i])), i))
    sums = np.zeros(len(sequences))
    training = model.training
    model.eval()
    try:
        # Not inference_mode: what ZeRO-3 gathers here could not be trained on.
        with torch.no_grad(), _own_forward(model):
            for start in range(0, len(order), batch_size):
                members = order[start : start + batch_size]
                sums[members] = _batch_values(model, sequences, members, dtype, value)
                after_batch(start + len(members))
    finally:
        model.train(training)
    return sums


@contextmanager
def _own_forward(model: Running) -> Iterator[None]:
    """Let a model that accelerate has prepared give its logits as it computes them.

    Prepared for 16 bits, it widens the logits of a whole batch to fp32: three times the memory, for
    the numbers that `_sum` widens one sequence at a time.
    """
    prepared, own = model.__dict__.get("forward"), getattr(model, "_original_forward", None)
    if prepared is None or own is None:
        yield
        return
    model.forward = own
    try:
        yield
    finally:
        model.forward = prepared


def _batch_values(
    model: Running, sequences: Sequences, members: Sequence[int], dtype: str, value: Value
) -> Float64[np.ndarray, " batch"]:
    batch = [sequences[i] for i in members]
    device = cast(torch.device, model.device)
    token_ids, attention_mask = (to_device(tensor, device) for tensor in _padded(batch))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
        logits = model(input_ids=token_ids, attention_mask=attention_mask, use_cache=False).logits
    # Of a model on several devices, logits come from the last one.
    token_ids = token_ids.to(logits.device)
    # One after another: copies of all logits in fp32 would be the most memory of a forward pass.
    # By slices: a mask is counted on the device, and the host would wait for each sequence.
    sums = []
    for i, rows, ids, (prompt, completion) in zip(members, logits, token_ids, batch, strict=True):
        start, end = max(1, len(prompt)), len(prompt) + len(completion)
        sums.append(value(i, rows[start - 1 : end - 1], ids[start:end]))
    as_array: Float64[np.ndarray, " batch"] = torch.stack(sums).cpu().numpy()
    return as_array


def _sum(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Sum log p over the tokens of one completion, shape (); logits [token, vocabulary]."""
    rows = logits.float()
    chosen = rows.gather(1, token_ids[:, None])[:, 0] - rows.logsumexp(dim=1)
    return chosen.double().sum()


def _padded(batch: Sequences) -> tuple[Tensor, Tensor]:
    """Return token ids and attention mask, padded on the right with 0."""
    width = max(len(prompt) + len(completion) for prompt, completion in batch)
    token_ids = torch.zeros(len(batch), width, dtype=torch.long)
    attention_mask = torch.zeros(len(batch), width, dtype=torch.long)
    for row, (prompt, completion) in enumerate(batch):
        end = len(prompt) + len(completion)
        token_ids[row, :end] = torch.tensor([*prompt, *completion])
        attention_mask[row, :end] = 1
    return token_ids, attention_mask


def score_pairs(
    model: Running,
    pairs: Sequence[TokenizedPair],
    *,
    batch_size: int,
    dtype: str,
    after_batch: Callable[[int], None] = lambda done: None,
) -> ScoredPairs:
    """Score both completions of every pair, each rank a share of the pairs; all ranks call it.

    See `sum_log_probabilities` for the arguments.

    All ranks do as many forward passes, as an engine that divides weights needs of them: shares
    are filled up with the first pair. Every rank gets the scores of all pairs.
    """
    per_rank = -(-len(pairs) // ranks.num_ranks())
    share = [*pairs[ranks.rank() :: ranks.num_ranks()], pairs[0]][:per_rank]
    sums = sum_log_probabilities(
        model, both_completions(share), batch_size=batch_size, dtype=dtype, after_batch=after_batch
    )
    shares = ranks.gathered((sums[:per_rank], sums[per_rank:]))
    # The first pair of each rank, then the second of each, and so on.
    chosen, rejected = (
        np.stack([share[side] for share in shares], axis=1).reshape(-1) for side in (0, 1)
    )
    return ScoredPairs(pairs=pairs, chosen=chosen[: len(pairs)], rejected=rejected[: len(pairs)])


def both_completions(pairs: Sequence[TokenizedPair]) -> list[tuple[list[int], list[int]]]:
    """Return (prompt, completion) of every chosen completion, then of every rejected one."""
    return [
        *((pair.prompt_ids, pair.chosen_ids) for pair in pairs),
        *((pair.prompt_ids, pair.rejected_ids) for pair in pairs),
    ]
