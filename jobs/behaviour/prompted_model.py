"""`PromptedModel`: one model in memory, its prompts as tokens, and the words that are toxic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from jobs.behaviour.behave_params import BehaveParams
from jobs.behaviour.given_words import words_unknown
from jobs.behaviour.scored_params import LocalModelParams, WordsParams
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.language_model import LanguageModel
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import MODEL_FACTS
from jobs.taps.pair_loading import load_input_model
from jobs.text.prompt_lines import PROMPTS, SHUFFLED, read_prompts
from jobs.text.reading_report import TOXIC_WORDS, read_toxic_words
from jobs.text.transform import Chain, load_transform
from jobs.tokens.plan import LeftOut, TokenPlan, build_token_plan, longest_prompt
from jobs.tokens.text_bounds import ANY_LENGTH
from jobs.worker.work import Work

NO_WORDS = "the list of toxic words is empty"
"""Why there is no toxic behaviour to measure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedPrompts:
    """Prompts as the tokens of a model, and the words that are toxic in an answer."""

    tokenizer: PreTrainedTokenizerFast
    """Tokenizer of the model."""
    plan: TokenPlan
    """The prompts as tokens."""
    left_out: LeftOut
    """Ids of prompts that were left out for their length, and those that have no tokens."""
    shuffled: TokenPlan | None
    """The prompts with their words out of order, where the decode control needs them."""
    transform: Chain
    """The transform of the prompts."""
    toxic_words: Sequence[str]
    """Words known or learned to be toxic; may be empty."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptedModel(PreparedPrompts):
    """A model whose behaviour on prepared prompts is measured."""

    about: Mapping[str, Any]
    """MODEL_FACTS of the model, for every measurement."""
    load: Callable[[], LanguageModel]
    """Loads the model."""

    @cached_property
    def model(self) -> LanguageModel:
        """The causal language model, in eval mode; loaded when it is first asked for."""
        return self.load()


def load_prompted_model(work: Work[BehaveParams]) -> PromptedModel:
    """Prepare the prompts of a `behave` job; its model is loaded when it is first asked for.

    Raises:
        UserError: no prompt fits the model.
    """
    params = work.params
    source, prompts = work.input("model"), work.input("prompts")
    folder = source.directory("model")
    tokenizer = load_tokenizer(folder)
    max_length = longest_prompt_of(folder, params)

    def tokens_of(name: str) -> tuple[TokenPlan, LeftOut]:
        lines, num_rows = read_prompts(prompts.path(name)), source.facts["model"]["vocab_size"]
        most = ANY_LENGTH if max_length is None else max_length
        return build_token_plan(lines, tokenizer, most, num_rows=num_rows, first=params.first)

    plan, left_out = tokens_of(PROMPTS)
    shuffled = tokens_of(SHUFFLED)[0] if "decode_loss" in params.metrics else None
    about = {name: source.facts["model"][name] for name in MODEL_FACTS}
    return PromptedModel(
        about=about,
        load=lambda: load_input_model(source, params),
        tokenizer=tokenizer,
        plan=plan,
        left_out=left_out,
        shuffled=shuffled,
        transform=load_transform(prompts.facts["transform"]),
        toxic_words=load_toxic_words(work),
    )


def longest_prompt_of(folder: Path, params: LocalModelParams) -> int | None:
    """Return the most tokens of a prompt, None where texts are cut into windows.

    Every metric sees the prompts that leave room for an answer.
    """
    if params.reads_whole_texts:
        return None
    config = read_config(folder)
    shape = family_of_config(config).shape(config)
    return longest_prompt(shape.max_positions, params.max_length, params.new_tokens, "new_tokens")


def load_toxic_words(work: Work[WordsParams]) -> list[str]:
    """Read the toxic words of the input that the params name; none where no metric needs them.

    Raises:
        UserError: the input knows no toxic words.
    """
    source = work.params.toxic_words
    if not work.params.counts_words or not work.has(source):
        return []
    artifact = work.input(source)
    if TOXIC_WORDS not in artifact.record.files:
        raise words_unknown(artifact.folder)
    return read_toxic_words(artifact.path(TOXIC_WORDS))
