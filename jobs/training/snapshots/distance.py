"""How far a model in training has moved from its start, on a few held-out pairs.

`margin` is the mean over the pairs of log(policy / start) of the chosen answer minus that of the
rejected one, in nats, summed over tokens: the implicit reward of DPO without its β, so that it is
defined alike for every objective. `kl` is KL(policy || start) in nats per token, exact over the
vocabulary, along the first tokens of the chosen answers (teacher-forced). Along text that the
policy writes itself it is another number: kind `preferences` measures that one, once.

Both are means over all ranks' shares, equal on every rank, and so is what is decided by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.training.adapters.lora import whole_on_call
from jobs.training.completion_log_probabilities import per_completion, score_pairs
from jobs.training.preference import margins
from jobs.training.snapshots.settings import MOST_TOKENS
from jobs.worker import ranks

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from jobs.training.completion_log_probabilities import Running
    from jobs.training.objective import ScoredPairs
    from jobs.training.tokenized_pairs import TokenizedPair


@dataclass(frozen=True, kw_only=True)
class Distance:
    """The start of a training run, on some pairs."""

    pairs: Sequence[TokenizedPair]
    """Held-out pairs."""
    batch_size: int
    """Sequences per forward pass."""
    dtype: str
    """Dtype to compute in."""
    scored: ScoredPairs | None
    """The start's sums; None where no margin is wanted."""
    log_probabilities: Mapping[int, Tensor] | None
    """Place of a pair in this rank's share -> the start's log-probabilities along its chosen
    answer, [token, vocabulary]; None where no divergence is wanted."""

    @classmethod
    def of_start(
        cls,
        model: PreTrainedModel,
        pairs: Sequence[TokenizedPair],
        *,
        batch_size: int,
        dtype: str,
        margin: bool,
        kl: bool,
    ) -> Distance:
        """Score pairs by a model before its first step; all ranks call it."""
        how: dict[str, Any] = {"batch_size": batch_size, "dtype": dtype}
        kept: dict[int, Tensor] = {}
        with whole_on_call(model):
            scored = score_pairs(model, pairs, **how) if margin else None
            if kl:
                keep = partial(_keep, kept, _tokens_each(pairs))
                per_completion(model, _chosen(_share(pairs)), **how, value=keep)
        return cls(pairs=pairs, **how, scored=scored, log_probabilities=kept if kl else None)

    def to(self, model: Running) -> dict[str, float]:
        """Return `margin` and `kl` of a model, as far as wanted; all ranks call it."""
        how: dict[str, Any] = {"batch_size": self.batch_size, "dtype": self.dtype}
        moved = {}
        if self.scored is not None:
            policy = score_pairs(model, self.pairs, **how)
            moved["margin"] = float(margins(policy, self.scored).mean())
        if self.log_probabilities is not None:
            each = _tokens_each(self.pairs)
            value = partial(_divergence, self.log_probabilities, each)
            sums = per_completion(model, _chosen(_share(self.pairs)), **how, value=value)
            moved["kl"] = self._per_token(ranks.gathered(sums.tolist()), each)
        return moved

    def _per_token(self, shares: Sequence[Sequence[float]], most: int) -> float:
        """Return the mean over tokens of all ranks' sums, without the pairs that fill shares up."""
        sums = [share[place] for place in range(len(shares[0])) for share in shares]
        num_tokens = sum(min(most, _num_predicted(pair)) for pair in self.pairs)
        return sum(sums[: len(self.pairs)]) / num_tokens


def _share(pairs: Sequence[TokenizedPair]) -> list[TokenizedPair]:
    """Return this rank's pairs; all ranks have as many, filled up with the first pair."""
    per_rank = -(-len(pairs) // ranks.num_ranks())
    return [*pairs[ranks.rank() :: ranks.num_ranks()], pairs[0]][:per_rank]


def _chosen(pairs: Sequence[TokenizedPair]) -> list[tuple[list[int], list[int]]]:
    return [(pair.prompt_ids, pair.chosen_ids) for pair in pairs]


def _num_predicted(pair: TokenizedPair) -> int:
    """Count the tokens of the chosen answer that are predicted: a text's very first is not."""
    return len(pair.chosen_ids) if pair.prompt_ids else len(pair.chosen_ids) - 1


def _tokens_each(pairs: Sequence[TokenizedPair]) -> int:
    return max(1, MOST_TOKENS // len(pairs))


def _keep(kept: dict[int, Tensor], most: int, place: int, rows: Tensor, ids: Tensor) -> Tensor:
    """Keep the log-probabilities along a completion in host memory."""
    log_probabilities = rows[:most].float().log_softmax(dim=1)
    kept[place] = log_probabilities.cpu()
    return log_probabilities.double().new_zeros(())


def _divergence(
    start: Mapping[int, Tensor], most: int, place: int, rows: Tensor, ids: Tensor
) -> Tensor:
    """Sum KL(policy || start) over the first tokens of a completion, in nats, shape ()."""
    policy = rows[:most].float().log_softmax(dim=1)
    before = start[place].to(policy.device)
    return (policy.exp() * (policy - before)).sum(dim=1).double().sum()
