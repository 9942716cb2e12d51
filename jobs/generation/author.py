"""`Author`: a model ready to write both sides of pairs, its prompts and its push."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as parquet
from jaxtyping import Float32, Float64
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from analysis.long_table.depth import layer_at
from cluster.errors import UserError
from jobs.generation.direction import DIRECTIONS, Contrast
from jobs.generation.generated_pairs_params import GeneratedPairsParams
from jobs.models.family import Missing, family_of_config
from jobs.models.folder import read_config
from jobs.models.language_model import LanguageModel
from jobs.models.loading import load_tokenizer
from jobs.probing.directions_file import StoredDirections
from jobs.taps.activations import batches_of, read_activations
from jobs.taps.pair_loading import load_input_model
from jobs.text.labelled_artifact import LABELLED
from jobs.text.pair_artifact import PAIRS
from jobs.text.prompt_lines import (
    ANSWERERS,
    PROMPTS,
    PromptLine,
    SegmentLine,
    plain_line,
    read_prompts,
    turns_of,
)
from jobs.text.reading import Dropped, Segment
from jobs.text.reading_report import TOXIC_WORDS, read_toxic_words
from jobs.text.split import Split
from jobs.tokens.plan import ROLES, TokenPlan, build_token_plan, longest_prompt
from jobs.tokens.positions import find_positions
from jobs.worker.work import Stopped, Work

SITE = "resid_post"
"""Where a model is read and pushed: the output of a block."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Author:
    """A model, the prompts it continues and the push of its residual stream."""

    model: PreTrainedModel
    """The causal language model, in eval mode."""
    tokenizer: PreTrainedTokenizerFast
    """Its tokenizer."""
    texts: Mapping[int, str]
    """Id of a prompt -> its text."""
    turns: Mapping[int, tuple[Segment, ...]]
    """Id of a prompt -> its text by speaker; nothing of a prompt that is no dialogue."""
    plan: TokenPlan
    """Prompts as tokens."""
    dropped: Sequence[Dropped]
    """Prompts that are too long or have no tokens, by their line."""
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
    family = family_of_config(config)
    if isinstance(site := family.sites(config)[SITE], Missing):
        raise UserError(f"there is no {SITE}: {site.reason}", where=work.input("model").folder)
    shape = family.shape(config)
    limit = longest_prompt(shape.max_positions, params.max_length, params.new_tokens, "new_tokens")
    prompts = read_prompts(work.input("prompts").path(PROMPTS))
    requests = {int(prompt["prompt"]): _request(prompt) for prompt in prompts}
    texts = {
        number: "".join(segment["text"] for segment in request)
        for number, request in requests.items()
    }
    plan, left_out = build_token_plan(
        [_in_one_segment(prompt, texts) for prompt in prompts],
        tokenizer,
        limit,
        num_rows=shape.vocab_size,
    )
    model = load_input_model(work.input("model"), params)
    toxic_words = read_toxic_words(work.input("lexicon").path(TOXIC_WORDS))
    layer = layer_at(params.depth, shape.num_layers)
    contrast = _contrast(work, model, tokenizer, layer, toxic_words, shape.max_positions)
    return Author(
        model=model,
        tokenizer=tokenizer,
        texts=texts,
        turns={number: turns_of(request) for number, request in requests.items()},
        plan=plan,
        dropped=[
            *(Dropped(row=n + 1, reason=f"longer than {limit} tokens") for n in left_out),
            *(Dropped(row=n + 1, reason=reason) for n, reason in left_out.refused.items()),
        ],
        toxic_words=toxic_words,
        layer=layer,
        shift=_shift(params, contrast),
        typical_norm=contrast.typical_norm,
    )


def _request(prompt: PromptLine) -> list[SegmentLine]:
    """Return the segments of a prompt without its last answer."""
    segments = prompt["segments"]
    is_answered = len(segments) > 1 and segments[-1]["role"] in ANSWERERS
    return segments[:-1] if is_answered else segments


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
    plan = tokenize_sides(_examples(work), tokenizer, max_length, model.config.vocab_size)
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
        probe=_probe(work),
    )


def _probe(work: Work[GeneratedPairsParams]) -> Float64[np.ndarray, " d"] | None:
    if not work.has("toxic"):
        return None
    if work.input("model").key not in work.input("toxic").record.inputs:
        raise UserError(
            "the toxic directions are of another model",
            where=work.input("toxic").folder,
            hint="give `probe-direction` the model that writes the pairs",
        )
    return StoredDirections(work.input("toxic")).directions.probe


def _examples(work: Work[GeneratedPairsParams]) -> list[dict[str, str]]:
    """Draw a seeded sample of the lexicon's training pairs, or of its labelled texts, in order."""
    if LABELLED in work.input("lexicon").record.files:
        return _labelled_examples(work)
    table = parquet.read_table(work.input("lexicon").path(PAIRS)).to_pylist()
    pairs = [pair for pair in table if pair["split"] == Split.TRAIN.value]
    order = np.random.default_rng([work.params.seed, 0]).permutation(len(pairs))
    taken = sorted(order[: work.params.num_examples])
    if not taken:
        raise UserError("the lexicon has no training pairs", where="input lexicon")
    return [pairs[place] for place in taken]


def _labelled_examples(work: Work[GeneratedPairsParams]) -> list[dict[str, str]]:
    """Put toxic texts beside neutral ones, as if they answered an empty prompt."""
    rows = parquet.read_table(work.input("lexicon").path(LABELLED)).to_pylist()
    draw = np.random.default_rng([work.params.seed, 0])
    neutral, toxic = (
        [
            rows[place]["text"]
            for place in draw.permutation(len(rows))
            if rows[place]["toxic"] is kind
        ]
        for kind in (False, True)
    )
    sides = zip(neutral, toxic, strict=False)
    pairs = [{"prompt": "", "chosen": chosen, "rejected": rejected} for chosen, rejected in sides]
    return pairs[: work.params.num_examples]


def _shift(params: GeneratedPairsParams, contrast: Contrast) -> Float64[np.ndarray, " d"]:
    """Return `strength` typical norms along the direction."""
    direction = DIRECTIONS.find(params.direction).direction(contrast)
    length = float(np.linalg.norm(direction))
    if not np.isfinite(length) or length == 0:
        raise UserError("both sides of the examples look the same to the model", where="direction")
    return np.asarray(direction / length * params.strength * contrast.typical_norm)


def tokenize_sides(
    pairs: Sequence[Mapping[str, str]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    num_rows: int | None = None,
) -> TokenPlan:
    """Tokenise both sides behind their prompt; pair `i` is prompts 2i (chosen) and 2i + 1.

    Raises:
        UserError: all of them are longer than `max_length` tokens, or one uses a token beyond the
            rows of the model's embedding, where `num_rows` gives these.
    """
    prompts = [
        plain_line(2 * number + place, 0, pair["prompt"], pair[side])
        for number, pair in enumerate(pairs)
        for place, side in enumerate(("chosen", "rejected"))
    ]
    plan, _ = build_token_plan(prompts, tokenizer, max_length, num_rows=num_rows)
    return plan


def average_sides(
    model: LanguageModel,
    plan: TokenPlan,
    layer: int,
    *,
    token_budget: int,
    after_batch: Callable[[int], None] = lambda num_done: None,
) -> tuple[Float64[np.ndarray, "sides d"], float]:
    """Return the mean residual over each side's tokens, chosen first, and the median norm of all.

    Args:
        model: a causal language model in eval mode.
        plan: of `tokenize_sides`.
        layer: from 0.
        token_budget: most tokens forwarded together, padding included.
        after_batch: called after every batch with the number of sides that are done.
    """
    answers = find_positions(plan, ["response"], 0)
    sums, counts = np.zeros(2, dtype=object), np.zeros(2)
    norms = []
    for batch, inputs in batches_of(plan, answers, model.device, token_budget, after_batch):
        activations = read_activations(model, inputs, [(SITE, layer)])
        rows: Float32[np.ndarray, "rows d"] = activations[SITE, layer].float().cpu().numpy()
        sides = plan.prompts[batch.members][batch.owners] % 2
        for side in (0, 1):
            sums[side] = sums[side] + rows[sides == side].sum(axis=0, dtype=np.float64)
            counts[side] += int((sides == side).sum())
        norms.append(np.linalg.norm(rows.astype(np.float64), axis=1))
    means = np.stack([sums[side] / max(1.0, counts[side]) for side in (0, 1)])
    return means, float(np.median(np.concatenate(norms)))
