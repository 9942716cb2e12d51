"""Mean residuals of a model on both sides of given pairs, which directions are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64

from jobs.taps.activations import batches_of, read_activations
from jobs.text.prompt_lines import plain_line
from jobs.tokens.plan import TokenPlan, build_token_plan
from jobs.tokens.positions import find_positions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from jobs.models.language_model import LanguageModel

SITE = "resid_post"
"""Where a model is read and pushed: the output of a block."""


def tokenize_sides(
    pairs: Sequence[Mapping[str, str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> TokenPlan:
    """Tokenise both sides behind their prompt; pair `i` is prompts 2i (chosen) and 2i + 1.

    Raises:
        UserError: all of them are longer than `max_length` tokens.
    """
    prompts = [
        plain_line(2 * number + place, 0, pair["prompt"], pair[side])
        for number, pair in enumerate(pairs)
        for place, side in enumerate(("chosen", "rejected"))
    ]
    plan, _ = build_token_plan(prompts, tokenizer, max_length)
    return plan


def average_sides(
    model: LanguageModel,
    plan: TokenPlan,
    layer: int,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
) -> tuple[Float64[np.ndarray, "sides d"], float]:
    """Return the mean residual over each side's tokens, chosen first, and the median norm of all.

    Args:
        model: a causal language model in eval mode.
        plan: of `tokenize_sides`.
        layer: from 0.
        token_budget: most tokens forwarded together, padding included.
        after_batch: called after every batch with the number of sides that are done.
    """
    answers = find_positions(plan, ["response"], 0)
    sums, counts = np.zeros(2, dtype=object), np.zeros(2)
    norms = []
    for batch, inputs in batches_of(plan, answers, model.device, token_budget, after_batch):
        activations = read_activations(model, inputs, [(SITE, layer)])
        rows: Float32[np.ndarray, "rows d"] = activations[SITE, layer].float().cpu().numpy()
        sides = plan.prompts[batch.members][batch.owners] % 2
        for side in (0, 1):
            sums[side] = sums[side] + rows[sides == side].sum(axis=0, dtype=np.float64)
            counts[side] += int((sides == side).sum())
        norms.append(np.linalg.norm(rows.astype(np.float64), axis=1))
    means = np.stack([sums[side] / max(1.0, counts[side]) for side in (0, 1)])
    return means, float(np.median(np.concatenate(norms)))
