"""Writes both continuations of every prompt, greedy and sampled under a push, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import Module

from jobs.behaviour.decoding import TokenChoice, decode
from jobs.generation.author import Author
from jobs.generation.generated_pairs_params import GeneratedPairsParams
from jobs.models.language_model import LanguageModel
from jobs.taps.taps import ModuleValue, blocks_of, first_of, with_first
from jobs.text.buckets import bucket
from jobs.training.completion_log_probabilities import sum_log_probabilities
from jobs.worker.chunks import Arrays, Chunks, cut
from jobs.worker.out_of_memory import in_halves

CHUNK = 128
"""Prompts of a chunk."""
SIDES = ("chosen", "rejected")
_STREAMS = 1 << 63


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One side of every pair, in the order of the author's plan."""

    token_ids: Sequence[Sequence[int]]
    """Tokens of each continuation, without the one that ends a text."""
    log_probabilities: Float64[np.ndarray, " prompts"]
    """Log-probability of those tokens under the model without a push, summed, in nats."""


def write_both_sides(
    author: Author,
    params: GeneratedPairsParams,
    chunks: Chunks,
    after_batch: Callable[[float], None],
) -> tuple[Side, Side]:
    """Write the chosen and the rejected side.

    Chunks are cut from all prompts sorted by length, the longest first: memory runs out at the
    start or not at all, and a continued run writes what an undisturbed one does. Where memory runs
    out, batches are halved.

    Args:
        author: the model and its prompts.
        params: of the job.
        chunks: chunks that earlier attempts left.
        after_batch: called with the share of the prompts that is done.
    """
    lengths = author.plan.lengths
    order = [int(i) for i in np.lexsort((np.arange(len(lengths)), -lengths))]
    ids: list[list[list[int]]] = [[[] for _ in order] for _ in SIDES]
    sums = np.zeros((len(SIDES), len(order)))
    parts = cut(order, CHUNK)
    budget = params.token_budget

    def compute(number: int, members: Sequence[int]) -> Arrays:
        nonlocal budget
        arrays, budget = in_halves(
            budget,
            1,
            lambda tokens: _write_chunk(
                author,
                params,
                members,
                tokens,
                lambda share: after_batch((number + share) / len(parts)),
            ),
        )
        return arrays

    for number, members in enumerate(parts):
        arrays = chunks.get(number, partial(compute, number, members))
        for place, side in enumerate(SIDES):
            texts = np.split(arrays[f"{side}_ids"], np.cumsum(arrays[f"{side}_lengths"])[:-1])
            for member, token_ids in zip(members, texts, strict=True):
                ids[place][member] = token_ids.tolist()
            sums[place, members] = arrays[f"{side}_sums"]
    chosen, rejected = (
        Side(token_ids=ids[place], log_probabilities=sums[place]) for place in range(len(SIDES))
    )
    return chosen, rejected


def _write_chunk(
    author: Author,
    params: GeneratedPairsParams,
    members: Sequence[int],
    token_budget: int,
    show: Callable[[float], None],
) -> Arrays:
    plan, size = author.plan, len(members)
    prompts = [plan.token_ids[plan.offsets[i] : plan.offsets[i + 1]].tolist() for i in members]
    draws = [_draws(author.texts[int(plan.prompts[i])], params) for i in members]
    chosen = decode(
        author.model,
        prompts,
        params.new_tokens,
        after_batch=lambda done: show(0.4 * done / size),
        token_budget=token_budget,
    )
    with pushed(author.model, author.layer, author.shift):
        rejected = decode(
            author.model,
            prompts,
            params.new_tokens,
            choose=top_k_sampling(np.stack(draws), params.top_k, params.temperature),
            after_batch=lambda done: show(0.4 + 0.4 * done / size),
            token_budget=token_budget,
        )
    arrays: dict[str, np.ndarray] = {}
    for side, texts in zip(SIDES, (chosen, rejected), strict=True):
        arrays[f"{side}_ids"] = np.array([i for ids in texts for i in ids], dtype=np.int64)
        arrays[f"{side}_lengths"] = np.array([len(ids) for ids in texts], dtype=np.int64)
        arrays[f"{side}_sums"] = sum_log_probabilities(
            author.model,
            list(zip(prompts, texts, strict=True)),
            batch_size=max(1, token_budget // (len(prompts[0]) + params.new_tokens)),
            after_batch=lambda done: show(0.8 + 0.1 * done / size),
        )
    return arrays


def _draws(text: str, params: GeneratedPairsParams) -> Float64[np.ndarray, " tokens"]:
    generator = np.random.default_rng([params.seed, bucket(text, _STREAMS)])
    return np.asarray(generator.random(params.new_tokens))


@contextmanager
def pushed(model: LanguageModel, layer: int, shift: Float64[np.ndarray, " d"]) -> Iterator[None]:
    """Add `shift` to the last column of the output of block `layer`, inside the `with` block.

    Prompts are padded on the left, so that column is the newest token of every row: from the last
    token of a prompt on, every token is decoded under the push.
    """
    vector = torch.from_numpy(shift)

    def push(module: Module, inputs: object, output: ModuleValue) -> ModuleValue:
        hidden = first_of(output)
        moved = torch.cat([hidden[:, :-1], hidden[:, -1:] + vector.to(hidden)], dim=1)
        return with_first(output, moved)

    handle = blocks_of(model)[layer].register_forward_hook(push)
    try:
        yield
    finally:
        handle.remove()


def top_k_sampling(
    draws: Float64[np.ndarray, "prompts tokens"], top_k: int, temperature: float
) -> TokenChoice:
    """Make what samples among the likeliest tokens by numbers drawn beforehand.

    A prompt's tokens do not depend on the prompts that share its batch.

    Args:
        draws: uniform, from [0, 1); a row for each prompt.
        top_k: number of tokens.
        temperature: divisor of logits.
    """

    def choose(logits: Tensor, prompts: Sequence[int], num_decoded: int) -> Tensor:

        best = logits.float().topk(min(top_k, logits.shape[-1]), dim=-1)
        upto = (best.values / temperature).softmax(dim=-1).cumsum(dim=-1)
        drawn = torch.from_numpy(draws[list(prompts), num_decoded]).to(upto)
        place = (upto <= drawn[:, None]).sum(dim=-1).clamp(max=upto.shape[-1] - 1)
        return best.indices.gather(1, place[:, None])[:, 0]

    return choose
