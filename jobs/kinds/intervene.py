"""Kind `intervene`: behaviour of a model with its activations changed, and the share recovered.

One intervention at several doses, each beside random directions or neurons; weights are untouched.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from jobs.behaviour.scorer import chosen_scorer
from jobs.behaviour.small_answers import small_answers
from jobs.intervening.intervene_params import InterveneParams, Metric
from jobs.intervening.intervention import PARTS
from jobs.kind import Forecast, Input, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import (
    LEXICON,
    MODEL,
    PROMPTS,
    know_toxic_words,
    num_planned,
    planned_prompts,
)
from jobs.models.model_source import ModelSource
from jobs.provenance import Results
from jobs.rehearsal import StandIns, lowered
from jobs.worker.work import Work


class Intervene(Kind[InterveneParams]):
    """Changes a model's activations while it answers and measures what it says."""

    VERSION = 4
    INPUTS = {
        "base": MODEL,
        "aligned": MODEL,
        "prompts": PROMPTS,
        "lexicon": LEXICON,
        "delta": Input(kinds=frozenset({"extract"}), used_if_named=True),
        "against": Input(kinds=frozenset({"extract"}), used_if_named=True, other_than="delta"),
        "toxic": Input(kinds=frozenset({"probe-direction"}), used_if_named=True),
    }
    Params = InterveneParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True
    SWEEPS = ("intervention", "direction", "dose")
    MEASURES = tuple(
        f"{prefix}_{name}" for prefix in ("patched", "recovered") for name in get_args(Metric)
    )
    HEADLINES = {"recovered_toxic_mass": 250, "recovered_toxic_rate": 260}

    def uses(self, params: InterveneParams) -> frozenset[str]:
        """Return what it acts on, and what it measures.

        `delta` for mean offsets, with `against` for parts of them; else `toxic`.
        """
        acted_on = _extractions(params) or ("toxic",)
        return params.words_input | {"base", "aligned", "prompts", *acted_on}

    def source(self, params: InterveneParams) -> ModelSource | None:
        """Return the model that the scorer reads, where it reads one."""
        return chosen_scorer(params.scorer).source

    def notes(self, params: InterveneParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say where borders between segments move, and what the mass of words costs.

        Raises UserError where prompts do not fit the tokenizers of both models, or an extraction
        has no rows where it is read.
        """
        from jobs.behaviour.given_words import notes_on_given_words
        from jobs.behaviour.planned_length import notes_on_length
        from jobs.behaviour.planned_words import notes_on_words
        from jobs.extraction.planned_places import require_place
        from jobs.tokens.begun_replies import notes_on_prefill
        from jobs.tokens.planned_tokenizer import planned_tokenizer
        from jobs.tokens.planned_tokens import check_prompts_of_pair

        require_place(inputs, _extractions(params), params.site, params.position)
        base, prompts = inputs.get("base"), planned_prompts(inputs)
        cost = notes_on_words(
            params,
            base,
            inputs.get(params.toxic_words),
            num_planned(prompts),
            num_passes=params.num_passes,
        )
        tokenizer = planned_tokenizer(base)
        begun = notes_on_prefill(params.prefill, inputs.get("prompts"), prompts, tokenizer)
        long = notes_on_length(params, prompts, tokenizer)
        given = notes_on_given_words(params, inputs, know_toxic_words)
        borders = check_prompts_of_pair(prompts, base, inputs.get("aligned"))
        return (*given, *begun, *borders, *long, *cost)

    def forecast(self, params: InterveneParams, at: Situation) -> Forecast | None:
        """Count a measurement for every dose and control."""
        from jobs.intervening.intervene_forecast import forecast_intervention

        return forecast_intervention(params, at, planned_prompts(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Answer as `behave` does in small, beside the fewest controls."""
        few = lowered(self.Params, written, random_controls=3, num_vectors=4)
        whole = super().in_small(written, stand_ins)
        return {**whole, **few, **small_answers(self.Params, written, stand_ins)}

    def run(self, work: Work[InterveneParams]) -> dict[str, object]:
        """Write `measurements.parquet`, whose axes `intervention` and `dose` are the job's own."""
        from jobs.intervening.intervene import intervene

        return intervene(work)


def _extractions(params: InterveneParams) -> tuple[str, ...]:
    """Return the inputs from which a mean offset, or a part of one, is taken."""
    if params.made_of in PARTS:
        return ("delta", "against")
    return ("delta",) if params.made_of == "mean-offset" else ()
