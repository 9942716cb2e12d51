"""All behaviours of one model that are a mean over prompts or tokens, in two passes over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from jobs.behaviour.behave_params import OF_CONTINUATIONS
from jobs.behaviour.behaviour_values import BehaviourValues
from jobs.behaviour.continuations import Continuations, continue_prompts
from jobs.behaviour.probability_metrics import measure_probabilities
from jobs.behaviour.prompted_model import NO_WORDS, PromptedModel
from jobs.behaviour.scored_params import JUDGED, WINDOW, LocalModelParams
from jobs.behaviour.scorer import Judge, chosen_scorer
from jobs.behaviour.toxic_words import ToxicWords
from jobs.behaviour.toxicity import measure_toxicity, score_texts
from jobs.behaviour.unigram_f1 import measure_unigram_f1
from jobs.behaviour.window_perplexity import measure_window_perplexity
from jobs.models.family import family_of_config


def measure_behaviours(
    prompted: PromptedModel,
    toxic: ToxicWords,
    params: LocalModelParams,
    *,
    open_judge: Callable[[], Judge],
    show: Callable[[int, str], None],
    continue_by: Callable[[], Continuations] | None = None,
    keep_continuations: Callable[[Continuations], None] = lambda continuations: None,
) -> Iterator[BehaviourValues]:
    """Yield the behaviours that `params.metrics` names.

    Args:
        prompted: the model and its prompts.
        toxic: toxic words as the tokenizer writes them.
        params: metrics, scorer, new_tokens and token_budget.
        open_judge: makes the scorer ready; called once there is something to judge.
        show: called after every batch with the number of prompts done, and what is done to them.
        continue_by: continues the prompts; None lets the model do it.
        keep_continuations: called with the continuations, where a metric reads them.
    """
    if params.reads_whole_texts:
        config = prompted.model.config
        yield measure_window_perplexity(
            prompted,
            min(params.max_length or WINDOW, family_of_config(config).shape(config).max_positions),
            token_budget=params.token_budget,
            after_batch=lambda done: show(0, f"{done} windows read"),
        )
        return
    yield from measure_probabilities(
        prompted,
        toxic,
        params.metrics,
        token_budget=params.token_budget,
        share=params.most_uncounted,
        after_batch=lambda done: show(done, "reading prompts"),
    )
    if OF_CONTINUATIONS.isdisjoint(params.metrics):
        return
    continuations = (
        continue_by()
        if continue_by
        else continue_prompts(
            prompted,
            params.new_tokens,
            token_budget=params.token_budget,
            after_batch=lambda done: show(done, "continuing prompts"),
        )
    )
    keep_continuations(continuations)
    for values in _read_off(continuations, prompted, params, open_judge):
        yield replace(
            values, note="; ".join(filter(None, (values.note, continuations.note))) or None
        )


def _read_off(
    continuations: Continuations,
    prompted: PromptedModel,
    params: LocalModelParams,
    open_judge: Callable[[], Judge],
) -> Iterator[BehaviourValues]:
    yield from measure_unigram_f1(prompted, continuations, params.metrics)
    if not JUDGED.isdisjoint(params.metrics):
        judge = open_judge()
        wordless = chosen_scorer(params.scorer).uses_words and not prompted.toxic_words
        yield from measure_toxicity(
            params.metrics,
            score_texts(continuations.texts, prompted.transform, judge),
            prompted.plan.groups[continuations.places],
            judge,
            params.new_tokens,
            NO_WORDS if wordless else None,
        )
