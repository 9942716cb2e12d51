"""Kind `extract`: δx of an aligned model against its base, on identical tokens, as a store."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.extraction.extract_params import VERSION
from jobs.extraction.extract_params import Params as ExtractParams
from jobs.kind import Forecast, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import MODEL, PROMPTS, planned_prompts
from jobs.provenance import Results
from jobs.rehearsal import StandIns, lowered
from jobs.shared_params import begun_in_small
from jobs.worker.work import Work


class Extract(Kind[ExtractParams]):
    """Runs both models on the same tokens and keeps the differences of their activations."""

    VERSION = VERSION
    INPUTS = {"base": MODEL, "aligned": MODEL, "prompts": PROMPTS}
    Params = ExtractParams
    LEAVES = Results.STORE
    USES_TORCH = True

    def pins(self, params: ExtractParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Mark what is extracted in a template: marks of transcripts were told as words once."""
        return params.token_pins

    def workers(self, params: ExtractParams) -> int:
        """Return the number that the study gives."""
        return params.workers

    def expected_bytes(self, params: ExtractParams, inputs: Mapping[str, Upstream]) -> int | None:
        """Return the most bytes of the store, once prompts are done and model sizes known."""
        from jobs.extraction.store_size import bound_planned_store_bytes

        return bound_planned_store_bytes(params, inputs)

    def notes(self, params: ExtractParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which prompts are too long or refused, and where none has a token.

        Raises UserError where they fit no tokenizer, or have a token nowhere.
        """
        from jobs.extraction.planned_places import planned_positions
        from jobs.tokens.begun_replies import notes_on_prefill
        from jobs.tokens.long_prompts import notes_on_long_prompts
        from jobs.tokens.planned_answers import notes_on_positions, planned_answers
        from jobs.tokens.planned_tokenizer import planned_tokenizer
        from jobs.tokens.planned_tokens import check_prompts_of_pair, planned_reader

        prompts, base, aligned = planned_prompts(inputs), inputs.get("base"), inputs.get("aligned")
        reader = planned_reader(base, aligned, params.template)
        begun = notes_on_prefill(params.prefill, inputs.get("prompts"), prompts, *reader)
        positions = planned_positions(params.positions, inputs.get("prompts"))
        answers = planned_answers(prompts, *reader)
        absent = notes_on_positions(positions, params.first, answers)
        borders = check_prompts_of_pair(prompts, base, aligned, params.template)
        long = notes_on_long_prompts(
            prompts,
            *reader,
            first=params.first,
            longest=params.max_length,
            base=planned_tokenizer(base),
        )
        return (*begun, *absent, *borders, *long)

    def forecast(self, params: ExtractParams, at: Situation) -> Forecast | None:
        """Count both models' passes, and the rows and moments of them."""
        from jobs.extraction.extract_forecast import forecast_extraction

        return forecast_extraction(params, at, planned_prompts(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Read few tokens at a time, as one worker."""
        small = lowered(self.Params, written, token_budget=1024, noise_floor_prompts=8)
        if written.get("attention") == "flash_attention_2":
            stand_ins.replaced("attention: flash_attention_2 needs a GPU, sdpa stands in")
            small["attention"] = "sdpa"
        return {**super().in_small(written, stand_ins), **small, **begun_in_small(written)}

    def run(self, work: Work[ExtractParams]) -> dict[str, object]:
        """Write the store; its facts are its index."""
        from jobs.extraction.extract import extract

        return extract(work)
