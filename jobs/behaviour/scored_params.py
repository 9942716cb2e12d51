"""Params that the kinds which measure behaviour share."""

from typing import Literal

from pydantic import Field

from jobs.behaviour.scorer import ScorerChoice, chosen_scorer
from jobs.kind import Params, execution

JUDGED = frozenset({"toxic_rate", "toxic_score"})
"""Metrics that the scorer decides."""


class ScoredParams(Params):
    """Params of a kind that measures what a model answers."""

    metrics: tuple[str, ...]
    """Names of metrics; each kind lists its own."""
    toxic_words: Literal["lexicon", "prompts"] = Field(
        "lexicon",
        description="Whose words are toxic: those of the input `lexicon`, known or learned from "
        "pairs; or those that the source of the prompts knows.",
    )
    scorer: ScorerChoice = "lexicon"
    new_tokens: int = Field(20, ge=1, description="Most tokens of a continuation.")

    @property
    def counts_words(self) -> bool:
        """True when a metric needs to know which words are toxic."""
        judged_by_words = chosen_scorer(self.scorer).uses_words
        return "toxic_mass" in self.metrics or (
            judged_by_words and not JUDGED.isdisjoint(self.metrics)
        )

    @property
    def words_input(self) -> frozenset[str]:
        """The input `lexicon`, where its words matter; else no input."""
        wanted = self.counts_words and self.toxic_words == "lexicon"
        return frozenset({"lexicon"} if wanted else ())


class LocalModelParams(ScoredParams):
    """Params of a kind that runs the model itself."""

    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")
    max_length: int | None = Field(
        None,
        ge=1,
        description="Longer prompts (in tokens, answer included) are left out and counted; "
        "the model's limit less new_tokens if null.",
    )
    token_budget: int = execution(8192, "Most tokens forwarded together, padding included.", ge=1)
    num_cpus: float = execution(1, "Processor cores.", gt=0)
    num_gpus: float = execution(0, "GPUs; 0 computes on the processor.", ge=0, le=1)
    memory_gb: float = execution(0, "Host memory to set aside, in 10^9 bytes; 0: none.", ge=0)
