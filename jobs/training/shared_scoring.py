"""Completions scored by all ranks together, each its share of the pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from jobs.training.completion_log_probabilities import score_pairs
from jobs.training.objective import ScoredPairs
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.worker import ranks


def score_pairs_together(model: Any, pairs: Sequence[TokenizedPair], **how: Any) -> ScoredPairs:
    """Both completions of every pair, on every rank; all of them call it. See `score_pairs`.

    All ranks do as many forward passes, as an engine that divides weights needs of them: shares
    are filled up with the first pair.
    """
    per_rank = -(-len(pairs) // ranks.num_ranks())
    share = [*pairs[ranks.rank() :: ranks.num_ranks()], pairs[0]][:per_rank]
    scored = score_pairs(model, share, **how)
    shares = ranks.gathered((scored.chosen, scored.rejected))
    chosen, rejected = (_in_order([share[side] for share in shares]) for side in (0, 1))
    return ScoredPairs(pairs=pairs, chosen=chosen[: len(pairs)], rejected=rejected[: len(pairs)])


def _in_order(shares: Sequence[Float64[np.ndarray, " share"]]) -> Float64[np.ndarray, " pairs"]:
    """The first pair of each rank, then the second of each."""
    return np.stack(shares, axis=1).reshape(-1)
