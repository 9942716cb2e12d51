"""`Subject`: one model in memory, the tokens it is asked about and the words it should not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.device import pick_device
from jobs.models.facts import MODEL_FACTS, compute_dtype
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_model, load_tokenizer
from jobs.text.prompt_lines import PROMPTS, SHUFFLED, read_prompts
from jobs.text.reading_report import TOXIC_WORDS, read_toxic_words
from jobs.text.transform import Chain, load_transform
from jobs.tokens.plan import TokenPlan, build_token_plan
from jobs.tokens.room import longest_prompt
from jobs.worker.work import Work

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from jobs.behaviour.behave_params import Params

NO_WORDS = "the list of toxic words is empty"
"""Why there is no toxic behaviour to measure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What a behaviour is measured of."""

    about: Mapping[str, Any]
    """What every measurement says of the model."""
    model: Any
    """The causal language model, in eval mode."""
    tokenizer: PreTrainedTokenizerFast
    """Its tokenizer."""
    plan: TokenPlan
    """The prompts as tokens."""
    too_long: Sequence[int]
    """Ids of prompts that were left out for their length."""
    shuffled: TokenPlan | None
    """The prompts with their words out of order, where the decode control needs them."""
    transform: Chain
    """What was done to the prompts."""
    toxic_words: Sequence[str]
    """Words known or learned to be toxic; none where nobody knows any."""


def load_subject(work: Work) -> Subject:
    """The subject of a `behave` job. Raises UserError when no prompt fits the model."""
    params: Params = work.params
    source, prompts = work.input("model"), work.input("prompts")
    folder = source.directory("model")
    tokenizer = load_tokenizer(folder)
    max_length = max_length_of(folder, params)
    plan, too_long = build_token_plan(read_prompts(prompts.path(PROMPTS)), tokenizer, max_length)
    shuffled = None
    if "decode_loss" in params.metrics:
        shuffled, _ = build_token_plan(read_prompts(prompts.path(SHUFFLED)), tokenizer, max_length)
    about = {name: source.facts["model"][name] for name in MODEL_FACTS}
    return Subject(
        about=about,
        model=load_model(
            folder,
            dtype=compute_dtype(params.dtype, about["num_parameters"]),
            device=pick_device(params.num_gpus),
            attention=params.attention,
        ),
        tokenizer=tokenizer,
        plan=plan,
        too_long=too_long,
        shuffled=shuffled,
        transform=load_transform(prompts.facts["transform"]),
        toxic_words=toxic_words_of(work),
    )


def max_length_of(folder: Path, params: Params) -> int:
    """Every metric sees the same prompts: those that leave room for a continuation."""
    config = read_config(folder)
    shape = family_of_config(config).shape(config)
    return longest_prompt(shape.max_positions, params, "new_tokens")


def toxic_words_of(work: Work) -> list[str]:
    """Those of the artifact the params name; none where no metric needs them."""
    source = work.params.toxic_words
    if not work.params.counts_words or not work.has(source):
        return []
    artifact = work.input(source)
    if TOXIC_WORDS not in artifact.record.files:
        raise UserError(
            "the source of these prompts knows no toxic words",
            where=artifact.folder,
            hint="leave toxic_words out and give pairs as the input `lexicon`",
        )
    return read_toxic_words(artifact.path(TOXIC_WORDS))
