"""Kind `behave`: what a model says to prompts: toxic mass, toxic rate, perplexity, decode loss."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from jobs.behaviour.behave_params import OF_CONTINUATIONS, BehaveParams, Metric
from jobs.behaviour.scorer import chosen_scorer
from jobs.behaviour.small_answers import small_answers
from jobs.kind import KINDS, Forecast, Kind, Situation, Upstream
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
from jobs.rehearsal import StandIns
from jobs.worker.work import Work


class Behave(Kind[BehaveParams]):
    """Lets a model continue the prompts and measures what it says."""

    VERSION = 3
    INPUTS = {"model": MODEL, "prompts": PROMPTS, "lexicon": LEXICON}
    Params = BehaveParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True
    MEASURES = (*get_args(Metric), *("token_f1_legacy", "decode_loss_shuffled", "decode_loss_gap"))

    HEADLINES = {
        "toxic_mass": 10,
        "toxic_rate": 20,
        "toxic_score": 30,
        "perplexity": 40,
        "window_perplexity": 45,
        "token_f1": 50,
        "word_f1": 60,
        "decode_loss": 70,
        "decode_loss_shuffled": 80,
        "decode_loss_gap": 90,
    }

    def uses(self, params: BehaveParams) -> frozenset[str]:
        """Return model and prompts, and the lexicon only where its words matter."""
        return params.words_input | {"model", "prompts"}

    def source(self, params: BehaveParams) -> ModelSource | None:
        """Return the model that the scorer reads, where it reads one."""
        return chosen_scorer(params.scorer).source

    def notes(self, params: BehaveParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say where borders between segments move, what words cost, and what a GPU is idle for.

        Raises UserError where a prompt's token has no embedding.
        """
        from jobs.behaviour.given_words import notes_on_given_words
        from jobs.behaviour.planned_length import notes_on_length
        from jobs.behaviour.planned_words import notes_on_words
        from jobs.tokens.begun_replies import notes_on_prefill
        from jobs.tokens.planned_tokenizer import planned_tokenizer
        from jobs.tokens.planned_tokens import check_prompts

        model, prompts = inputs.get("model"), planned_prompts(inputs)
        cost = notes_on_words(params, model, inputs.get(params.toxic_words), num_planned(prompts))
        tokenizer = planned_tokenizer(model)
        begun = notes_on_prefill(params.prefill, inputs.get("prompts"), prompts, tokenizer)
        long = notes_on_length(params, prompts, tokenizer)
        given = notes_on_given_words(params, inputs, know_toxic_words)
        borders, served = check_prompts(prompts, model), _notes_on_server(params, model)
        return (*given, *begun, *borders, *long, *cost, *served)

    def forecast(self, params: BehaveParams, at: Situation) -> Forecast | None:
        """Count the passes and continuations of the metrics."""
        from jobs.behaviour.behave_forecast import forecast_behaviour

        return forecast_behaviour(params, at, planned_prompts(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Write few tokens of each answer; no server and no scoring service is asked."""
        whole = super().in_small(written, stand_ins)
        if whole.get("served") is not None:
            stand_ins.replaced("served: no server is asked, the stand-in answers here")
            whole["served"] = None
        return {**whole, **small_answers(self.Params, written, stand_ins)}

    def run(self, work: Work[BehaveParams]) -> dict[str, object]:
        """Write `measurements.parquet` and `continuations.parquet` (token ids, no text)."""
        from jobs.behaviour.behave import behave

        return behave(work)


def _notes_on_server(params: BehaveParams, model: Upstream | None) -> Sequence[str]:
    if params.served is None:
        return ()
    notes = []
    if OF_CONTINUATIONS.issuperset(params.metrics) and params.num_gpus:
        notes.append(
            "a server continues the prompts: this job's GPU is for the check and the scorer alone"
        )
    if model is not None and KINDS.find(model.kind).REFERS:
        notes.append(
            "a snapshot has no folder that a server opens: write it with a stage of kind export, "
            "and give that to the server and to this stage"
        )
    return notes
