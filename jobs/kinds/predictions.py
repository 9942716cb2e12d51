"""Kind `predictions`: what base and aligned predict next, by layer and by output.

The logit lens of toxic words and of the answer's first token at every layer; and how far apart the
two models' own predictions are at each output: is alignment only a few tokens deep?
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.estimates.answer_metric import ANSWER_METRICS
from jobs.kind import Forecast, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import LEXICON, MODEL, PROMPTS, know_toxic_words, planned_prompts
from jobs.predicting.predictions_params import Params as PredictionsParams
from jobs.provenance import Results
from jobs.rehearsal import StandIns, lowered
from jobs.shared_params import begun_in_small
from jobs.worker.work import Work


class Predictions(Kind[PredictionsParams]):
    """Reads both models' predictions of the next token."""

    VERSION = 1
    INPUTS = {"base": MODEL, "aligned": MODEL, "prompts": PROMPTS, "lexicon": LEXICON}
    Params = PredictionsParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True
    HEADLINES = {"logit_lens_drop": 230, "token_kl_mean": 240, "half_depth_token_kl": 250}

    @property
    def MEASURES(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of its values, those over an answer too."""
        return (
            *("logit_lens_base", "logit_lens_aligned", "logit_lens_drop"),
            *("logit_lens_answer_base", "logit_lens_answer_aligned", "logit_lens_answer_drop"),
            *("token_kl", "token_kl_mean"),
            *(f"{name}_token_kl" for name in ANSWER_METRICS.names()),
        )

    def uses(self, params: PredictionsParams) -> frozenset[str]:
        """Return all inputs, the lexicon only where its words matter."""
        return params.words_input | {"base", "aligned", "prompts"}

    def pins(self, params: PredictionsParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Mark what is read in a template: marks of transcripts were told as words once."""
        return params.token_pins

    def notes(self, params: PredictionsParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which prompts are too long or refused; raises where they fit no tokenizer."""
        from jobs.behaviour.given_words import notes_on_given_words
        from jobs.tokens.begun_replies import notes_on_prefill
        from jobs.tokens.long_prompts import notes_on_long_prompts
        from jobs.tokens.planned_tokenizer import planned_tokenizer
        from jobs.tokens.planned_tokens import check_prompts_of_pair, planned_reader

        prompts, base, aligned = planned_prompts(inputs), inputs.get("base"), inputs.get("aligned")
        reader = planned_reader(base, aligned, params.template)
        begun = notes_on_prefill(params.prefill, inputs.get("prompts"), prompts, *reader)
        given = notes_on_given_words(params, inputs, know_toxic_words)
        borders = check_prompts_of_pair(prompts, base, aligned, params.template)
        long = notes_on_long_prompts(
            prompts,
            *reader,
            first=params.first,
            longest=params.max_length,
            num_free=params.num_positions,
            param="num_positions",
            base=planned_tokenizer(base),
        )
        return (*given, *begun, *borders, *long)

    def forecast(self, params: PredictionsParams, at: Situation) -> Forecast | None:
        """Count both models' passes, and the lens."""
        from jobs.predicting.predictions_forecast import forecast_predictions

        return forecast_predictions(params, at, planned_prompts(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Compare at few outputs; tokens shown by their ids are those of any tokenizer."""
        small = lowered(self.Params, written, token_budget=1024, num_positions=4)
        ids = written.get("token_ids")
        if isinstance(ids, (list, tuple)) and all(isinstance(one, int) for one in ids):
            stand_ins.replaced("token_ids: the lens shows tokens of a stand-in, not those")
            small["token_ids"] = [one % 256 for one in ids]
        return {**super().in_small(written, stand_ins), **small, **begun_in_small(written)}

    def run(self, work: Work[PredictionsParams]) -> dict[str, object]:
        """Write `measurements.parquet`; the facts count rows by status, prompts and toxic words."""
        from jobs.predicting.predictions import predict

        return predict(work)
