"""What the base gives every pair, from the model in training with its adapter off.

Computed before the first step, in the same process: no second model, no job of its own.
"""

from collections.abc import Sequence
from typing import Any

from jobs.training.adapters.lora import adapter_off
from jobs.training.objective import ScoredPairs
from jobs.training.shared_scoring import score_pairs_together
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.worker import ranks
from jobs.worker.work import Stopped, Work


def scored_by_base(work: Work, model: Any, pairs: Sequence[TokenizedPair]) -> ScoredPairs:
    """Both completions of every pair, on every rank; all of them call it.

    Raises:
        Stopped: asked to stop.
    """
    share = -(-len(pairs) // ranks.num_ranks())

    def after_batch(done: int) -> None:
        if ranks.any_of(work.stop_requested):
            raise Stopped
        work.progress(None, f"reference: {done // 2} of {share} pairs")

    with adapter_off(model):
        return score_pairs_together(
            model,
            pairs,
            batch_size=2 * work.params.layout().micro_batch,
            dtype=work.params.dtype,
            after_batch=after_batch,
        )
