"""Perplexity of whole texts in windows of tokens that do not overlap, as papers report WikiText's.

Lee et al. 2024 weight each window's mean by its length; a token's weight differs from that in the
last window alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.behaviour.next_token_probabilities import read_next_token_probabilities
from jobs.behaviour.prompted_model import PromptedModel
from jobs.behaviour.scored_params import WINDOW_PERPLEXITY
from jobs.tokens.cutting import cut_windows

_DEFINITION = (
    "v2: exp of the mean negative log-probability of all tokens of whole texts but the first of "
    "each window (the BOS, where the tokenizer begins texts with one), given those before them in "
    "a window of {width} tokens; delete-group jackknife of the logarithm, a group a run of windows"
)


def measure_window_perplexity(
    prompted: PromptedModel,
    width: int,
    *,
    token_budget: int,
    after_batch: Callable[[int], None],
) -> BehaviourValues:
    """Measure the perplexity of all texts of the plan.

    Args:
        prompted: the model, and its texts at full length.
        width: tokens of a window.
        token_budget: most tokens forwarded together; one window is, whatever its length.
        after_batch: called with the number of windows done.
    """
    windows = cut_windows(prompted.plan, width)
    everywhere = np.ones(len(windows.token_ids), dtype=bool)
    probabilities = read_next_token_probabilities(
        prompted.model,
        windows,
        token_set=(),
        mass_after=~everywhere,
        scored=everywhere,
        token_budget=token_budget,
        after_batch=after_batch,
    )
    scored = ~np.isnan(probabilities.log_probability)
    return BehaviourValues(
        metric=WINDOW_PERPLEXITY,
        definition=_DEFINITION.format(width=width),
        position="all",
        values=-probabilities.log_probability[scored],
        groups=windows.groups[windows.owners[scored]],
        is_loss=True,
        missing=None if scored.any() else "no text has a second token",
    )
