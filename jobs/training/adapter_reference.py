"""What the base gives every pair, from the model in training with its adapter off.

Computed before the first step, in the same process: no second model, no job of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from jobs.objective import ScoredPairs
from jobs.training import ranks
from jobs.training.completion_log_probabilities import score_pairs
from jobs.training.lora import adapter_off
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.work import Stopped, Work


def scored_by_base(work: Work, model: Any, pairs: Sequence[TokenizedPair]) -> ScoredPairs:
    """Both completions of every pair, each rank scoring its share; all ranks have all of it.

    Raises:
        Stopped: asked to stop.
    """
    params = work.params
    # Under zero3 all ranks compute together: their shares are equal, the first pair fills them up.
    per_rank = -(-len(pairs) // ranks.num_ranks())
    share = [*pairs[ranks.rank() :: ranks.num_ranks()], pairs[0]][:per_rank]

    def after_batch(done: int) -> None:
        if ranks.any_of(work.stop_requested):
            raise Stopped
        work.progress(None, f"reference: {done // 2} of {len(share)} pairs")

    with adapter_off(model):
        scored = score_pairs(
            model,
            share,
            batch_size=2 * params.layout().micro_batch,
            dtype=params.dtype,
            after_batch=after_batch,
        )
    shares = ranks.gathered((scored.chosen, scored.rejected))
    chosen, rejected = (_interleaved([share[side] for share in shares]) for side in (0, 1))
    return ScoredPairs(pairs=pairs, chosen=chosen[: len(pairs)], rejected=rejected[: len(pairs)])


def _interleaved(shares: Sequence[Float64[np.ndarray, " share"]]) -> Float64[np.ndarray, " pairs"]:
    """One of each rank, then the next of each."""
    return np.stack(shares, axis=1).reshape(-1)
