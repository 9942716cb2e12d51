"""Mean residual of each text: the residual stream at one place, averaged over the text's tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64

from jobs.models.language_model import LanguageModel
from jobs.taps.activations import batches_of, read_activations
from jobs.taps.row_views import row_views
from jobs.taps.taps import Place
from jobs.tokens.plan import ANSWERS, TokenPlan
from jobs.tokens.positions import Position

Averaged = Literal["completion", "text"]
"""The tokens of the completion alone, or those of prompt and completion."""


def mean_residuals(
    model: LanguageModel,
    plan: TokenPlan,
    place: Place,
    averaged: Averaged,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
) -> tuple[Float32[np.ndarray, "texts d"], Int64[np.ndarray, " texts"]]:
    """Average the residual stream over the tokens of each text.

    The first token, an outlier in most models, and padding never count.

    Args:
        model: a causal language model in eval mode.
        plan: the texts as tokens.
        place: site and layer.
        averaged: the tokens to average over.
        token_budget: most tokens forwarded together, padding included.
        after_batch: called with the number of texts that are done.

    Returns:
        A row per text that has a token to average over, and the ids of those texts.
    """
    tokens = plan.within > 0
    if averaged == "completion":
        tokens = tokens & np.isin(plan.roles, ANSWERS)
    positions = [Position.to_read("mean", tokens, pooled=True)]
    rows, texts = [], []
    for batch, inputs in batches_of(plan, positions, model.device, token_budget, after_batch):
        for view in row_views(plan, batch, positions, model.device):
            with torch.inference_mode():
                gathered = read_activations(model, inputs, [place])[place]
                rows.append(view.rows(gathered.float()).cpu().numpy())
            texts.append(view.prompts)
    if not rows:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    order = np.argsort(np.concatenate(texts))
    return np.concatenate(rows)[order], np.concatenate(texts)[order]
