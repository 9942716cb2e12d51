"""Log-ratios of policy to reference, and the arithmetic that validation losses are made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from jobs.training.objective import ScoredPairs
from jobs.training.tokenized_pairs import TokenizedPair

Pairs = Float64[np.ndarray, " pairs"]
"""One number for each pair."""


def log_ratios(policy: ScoredPairs, reference: ScoredPairs) -> tuple[Pairs, Pairs]:
    """Return log(policy / reference) of the chosen and of the rejected completions, in nats."""
    assert policy.chosen is not None and policy.rejected is not None
    assert reference.chosen is not None and reference.rejected is not None
    chosen: Pairs = policy.chosen - reference.chosen
    rejected: Pairs = policy.rejected - reference.rejected
    return chosen, rejected


def margins(policy: ScoredPairs, reference: ScoredPairs) -> Pairs:
    """Return log-ratio of the chosen minus log-ratio of the rejected completions, in nats."""
    chosen, rejected = log_ratios(policy, reference)
    difference: Pairs = chosen - rejected
    return difference


def per_token(
    chosen: Pairs, rejected: Pairs, pairs: Sequence[TokenizedPair]
) -> tuple[Pairs, Pairs]:
    """Divide log-ratios by the number of tokens of their completions."""
    return (
        chosen / np.array([len(pair.chosen_ids) for pair in pairs], dtype=np.float64),
        rejected / np.array([len(pair.rejected_ids) for pair in pairs], dtype=np.float64),
    )


def log_sigmoid(values: Pairs) -> Pairs:
    """Return log(1 / (1 + exp(-x))), without overflow."""
    logarithms: Pairs = -np.logaddexp(0.0, -values)
    return logarithms


def sigmoid(values: Pairs) -> Pairs:
    """Return 1 / (1 + exp(-x)), without overflow."""
    shares: Pairs = np.exp(log_sigmoid(values))
    return shares


def sorted_losses(values: Pairs, settings: Mapping[str, float]) -> Pairs:
    """Return the smoothed -log sigmoid of differences between sorted values, for both `aot`."""
    beta, smoothing = settings["beta"], settings["label_smoothing"]
    agreed, disagreed = log_sigmoid(beta * values), log_sigmoid(-beta * values)
    losses: Pairs = -((1 - smoothing) * agreed + smoothing * disagreed)
    return losses
