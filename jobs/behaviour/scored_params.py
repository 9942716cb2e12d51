"""Params that the kinds which measure behaviour share."""

from abc import abstractmethod
from typing import Literal

from pydantic import Field, field_validator, model_validator

from cluster.errors import UserError
from jobs.behaviour.scorer import ScorerChoice, chosen_scorer
from jobs.params import Params, added, each_once, execution
from jobs.shared_params import ComputeParams, CutParams, OneModelParams

JUDGED = frozenset({"toxic_rate", "toxic_score"})
"""Metrics that the scorer decides."""
WINDOW_PERPLEXITY = "window_perplexity"
"""The metric that reads whole texts, of any length."""
WINDOW = 1024
"""Its window in tokens, unless `max_length` or the model says less."""


class WordsParams(Params):
    """Params of a kind some of whose metrics need to know which words are toxic."""

    metrics: tuple[str, ...]
    """Names of metrics; each kind lists its own."""
    toxic_words: Literal["lexicon", "prompts"] = Field(
        "lexicon",
        description="Whose words are toxic: those of the input `lexicon`, known or learned from "
        "pairs; or those that the source of the prompts knows.",
    )

    @field_validator("metrics", mode="after")
    @classmethod
    def _each_once(cls, names: object) -> object:
        return each_once(names)

    @property
    @abstractmethod
    def word_metrics(self) -> tuple[str, ...]:
        """The metrics that need to know which words are toxic."""

    @property
    def counts_words(self) -> bool:
        """True when a metric needs to know which words are toxic."""
        return bool(self.word_metrics)

    @property
    def words_input(self) -> frozenset[str]:
        """The input `lexicon`, where its words matter; else no input."""
        wanted = self.counts_words and self.toxic_words == "lexicon"
        return frozenset({"lexicon"} if wanted else ())


class ScoredParams(WordsParams, ComputeParams):
    """Params of a kind that measures what a model answers."""

    scorer: ScorerChoice = "lexicon"
    new_tokens: int = Field(20, ge=1, description="Most tokens of a continuation.")

    @property
    def word_metrics(self) -> tuple[str, ...]:
        """The metrics that need to know which words are toxic."""
        judged = JUDGED if chosen_scorer(self.scorer).uses_words else frozenset()
        return tuple(name for name in self.metrics if name == "toxic_mass" or name in judged)


class LocalModelParams(ScoredParams, CutParams, OneModelParams):
    """Params of a kind that runs the model itself."""

    word_ends: Literal["any", "required"] = added(
        "any",
        "What toxic_mass asks after the tokens of a word: nothing; or that the word ends there, "
        "which costs about twice as much.",
    )
    most_uncounted: float = added(
        0.01,
        "Share of toxic_mass that may be left uncounted, as far as words of several tokens go; "
        "0 follows every word to its end. The number says how much was left.",
        ge=0,
        lt=1,
    )
    num_gpus: float = execution(0, "GPUs; 0 computes on the processor.", ge=0, le=1)

    @property
    def reads_whole_texts(self) -> bool:
        """True when texts are cut into windows, not left out for their length."""
        return WINDOW_PERPLEXITY in self.metrics

    @model_validator(mode="after")
    def _check_whole_texts(self) -> "LocalModelParams":
        if self.reads_whole_texts and len(self.metrics) > 1:
            raise UserError(
                f"{WINDOW_PERPLEXITY} reads whole texts, the other metrics prompts that fit",
                where="metrics",
                hint="give it a stage of its own, on prompts of format `document`",
            )
        return self
