"""Log-ratios of policy to reference, and the arithmetic that validation losses are made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from jobs.training.objective import ScoredPairs

Pairs = Float64[np.ndarray, " pairs"]


def log_ratios(policy: ScoredPairs, reference: ScoredPairs) -> tuple[Pairs, Pairs]:
    """log(policy / reference) of the chosen and of the rejected completions, in nats."""
    assert policy.chosen is not None and policy.rejected is not None
    assert reference.chosen is not None and reference.rejected is not None
    chosen: Pairs = policy.chosen - reference.chosen
    rejected: Pairs = policy.rejected - reference.rejected
    return chosen, rejected


def margins(policy: ScoredPairs, reference: ScoredPairs) -> Pairs:
    """log-ratio of the chosen minus log-ratio of the rejected completion, in nats."""
    chosen, rejected = log_ratios(policy, reference)
    found: Pairs = chosen - rejected
    return found


def margins_per_token(policy: ScoredPairs, reference: ScoredPairs) -> Pairs:
    """The same with each log-ratio divided by the tokens of its completion."""
    chosen, rejected = log_ratios(policy, reference)
    per_chosen = chosen / _lengths([pair.chosen_ids for pair in policy.pairs])
    found: Pairs = per_chosen - rejected / _lengths([pair.rejected_ids for pair in policy.pairs])
    return found


def log_sigmoid(values: Pairs) -> Pairs:
    """log(1 / (1 + exp(-x))), without overflow."""
    found: Pairs = -np.logaddexp(0.0, -values)
    return found


def sigmoid(values: Pairs) -> Pairs:
    """1 / (1 + exp(-x)), without overflow."""
    found: Pairs = np.exp(log_sigmoid(values))
    return found


def sigmoid_loss(
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """Mean of -log sigmoid(beta * margin); Rafailov et al. (arXiv 2305.18290), equation 7."""
    return float(-log_sigmoid(settings["beta"] * margins(policy, reference)).mean())


def sorted_loss(values: Pairs, settings: Mapping[str, float]) -> float:
    """Smoothed -log sigmoid of differences between sorted values; the loss of both `aot`."""
    beta, smoothing = settings["beta"], settings["label_smoothing"]
    agreed, disagreed = log_sigmoid(beta * values), log_sigmoid(-beta * values)
    return float(-((1 - smoothing) * agreed + smoothing * disagreed).mean())


def _lengths(completions: Sequence[Sequence[int]]) -> Pairs:
    return np.array([len(completion) for completion in completions], dtype=np.float64)
