"""`Author`: a model ready to write both sides of pairs, its prompts and its push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from analysis.long_table.depth import layer_at
from cluster.errors import UserError
from jobs.generation.direction import DIRECTIONS, Contrast
from jobs.generation.residuals import average_sides, tokenize_sides
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.taps.pair_loading import load_input_model
from jobs.text.format import Dropped
from jobs.text.pair_artifact import PAIRS
from jobs.text.prompt_lines import PROMPTS, read_prompts
from jobs.text.reading_report import TOXIC_WORDS, read_toxic_words
from jobs.text.split import Split
from jobs.tokens.plan import ROLES, TokenPlan, build_token_plan, longest_prompt
from jobs.worker.work import Stopped, Work

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from jobs.generation.generated_pairs_params import GeneratedPairsParams
    from jobs.text.prompt_lines import PromptLine

_ANSWERS = ("response", "assistant")


@dataclass(frozen=True, kw_only=True, eq=False)
class Author:
    """A model, the prompts it continues and the push of its residual stream."""

    model: PreTrainedModel
    """The causal language model, in eval mode."""
    tokenizer: PreTrainedTokenizerFast
    """Its tokenizer."""
    texts: Mapping[int, str]
    """Id of a prompt -> its text."""
    plan: TokenPlan
    """Prompts as tokens."""
    dropped: Sequence[Dropped]
    """Prompts that are too long, by their line."""
    toxic_words: Sequence[str]
    """Words known or learned to be toxic."""
    layer: int
    """Block whose output is pushed, from 0."""
    shift: Float64[np.ndarray, " d"]
    """Vector that is added there."""
    typical_norm: float
    """Median norm of the residual there."""


def load_author(work: Work[GeneratedPairsParams]) -> Author:
    """Load the author of a `generated-pairs` job.

    Raises:
        UserError: no prompt fits the model, or there is no direction.
    """
    params = work.params
    folder = work.input("model").directory("model")
    tokenizer = load_tokenizer(folder)
    config = read_config(folder)
    shape = family_of_config(config).shape(config)
    limit = longest_prompt(shape.max_positions, params.max_length, params.new_tokens, "new_tokens")
    prompts = read_prompts(work.input("prompts").path(PROMPTS))
    texts = {int(prompt["prompt"]): _request(prompt) for prompt in prompts}
    plan, too_long = build_token_plan(
        [_in_one_segment(prompt, texts) for prompt in prompts], tokenizer, limit
    )
    model = load_input_model(work.input("model"), params)
    toxic_words = read_toxic_words(work.input("lexicon").path(TOXIC_WORDS))
    layer = layer_at(params.depth, shape.num_layers)
    contrast = _contrast(work, model, tokenizer, layer, toxic_words, shape.max_positions)
    return Author(
        model=model,
        tokenizer=tokenizer,
        texts=texts,
        plan=plan,
        dropped=[
            Dropped(row=number + 1, reason=f"longer than {limit} tokens") for number in too_long
        ],
        toxic_words=toxic_words,
        layer=layer,
        shift=_shift(params, contrast),
        typical_norm=contrast.typical_norm,
    )


def _request(prompt: PromptLine) -> str:
    """Return the text of a prompt without its last answer."""
    segments = prompt["segments"]
    if len(segments) > 1 and segments[-1]["role"] in _ANSWERS:
        segments = segments[:-1]
    return "".join(segment["text"] for segment in segments)


def _in_one_segment(prompt: PromptLine, texts: Mapping[int, str]) -> PromptLine:
    """Join the segments, as a pair's prompt is tokenised when it is trained on."""
    assert "prompt" in ROLES
    return {**prompt, "segments": [{"role": "prompt", "text": texts[prompt["prompt"]]}]}


def _contrast(
    work: Work[GeneratedPairsParams],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    layer: int,
    toxic_words: Sequence[str],
    max_length: int,
) -> Contrast:
    def after_batch(_num_done: int) -> None:
        if work.stop_requested:
            raise Stopped

    work.progress(None, "reading examples")
    plan = tokenize_sides(_examples(work), tokenizer, max_length)
    (chosen, rejected), norm = average_sides(
        model, plan, layer, token_budget=work.params.token_budget, after_batch=after_batch
    )
    return Contrast(
        model=model,
        tokenizer=tokenizer,
        toxic_words=toxic_words,
        rejected_mean=rejected,
        chosen_mean=chosen,
        typical_norm=norm,
    )


def _examples(work: Work[GeneratedPairsParams]) -> list[dict[str, str]]:
    """Draw a seeded sample of the lexicon's training pairs, in its order."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(work.input("lexicon").path(PAIRS)).to_pylist()
    pairs = [pair for pair in table if pair["split"] == Split.TRAIN.value]
    order = np.random.default_rng([work.params.seed, 0]).permutation(len(pairs))
    taken = sorted(order[: work.params.num_examples])
    if not taken:
        raise UserError("the lexicon has no training pairs", where="input lexicon")
    return [pairs[place] for place in taken]


def _shift(params: GeneratedPairsParams, contrast: Contrast) -> Float64[np.ndarray, " d"]:
    """Return `strength` typical norms along the direction."""
    direction = DIRECTIONS.find(params.direction).direction(contrast)
    length = float(np.linalg.norm(direction))
    if not np.isfinite(length) or length == 0:
        raise UserError("both sides of the examples look the same to the model", where="direction")
    return np.asarray(direction / length * params.strength * contrast.typical_norm)
