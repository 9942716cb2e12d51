"""Kind `preferences`: what training achieved, on pairs that the model was not trained on.

Accuracy and reward margin of an aligned model against its base, the change of log-probability of
both sides (likelihood displacement), and the divergence along the aligned model's own words; of the
pairs under the base, its margin, and how much the chosen side is the base's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.kind import Forecast, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import MODEL, PAIRS, planned_pairs
from jobs.preferring.preferences_params import Params as PreferencesParams
from jobs.provenance import Results
from jobs.rehearsal import StandIns, lowered
from jobs.worker.out_of_memory import as_out_of_memory
from jobs.worker.work import Work


class Preferences(Kind[PreferencesParams]):
    """Measures what training on preferences achieved."""

    VERSION = 1
    INPUTS = {"base": MODEL, "aligned": MODEL, "pairs": PAIRS}
    Params = PreferencesParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True
    TELLS_STAGE = True
    MEASURES = (
        *("preference_accuracy", "preference_accuracy_per_token"),
        *("reward_margin", "reward_margin_per_token"),
        *("reward_margin_length_correlation", "reward_margin_at_equal_length"),
        *("chosen_logp_change", "rejected_logp_change", "kl_per_token"),
        *("base_margin", "base_margin_per_token"),
        *("base_margin_length_correlation", "base_margin_at_equal_length"),
        *("on_policy_chosen", "on_policy_chosen_logp", "on_policy_chosen_own_logp"),
    )
    HEADLINES = {
        "preference_accuracy": 245,
        "reward_margin_per_token": 250,
        "chosen_logp_change": 255,
        "rejected_logp_change": 260,
        "kl_per_token": 265,
    }

    def notes(self, params: PreferencesParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which pairs are refused, and where they are read as other tokens than in training.

        And in what the two models compute otherwise.

        Raises UserError where no pair of the study's own is held out, or models differ in shape.
        """
        from jobs.preferring.planned_pairs import notes_on_held_out
        from jobs.tokens.planned_tokens import notes_on_settings, require_planned_pair
        from jobs.training.planning.refused_pairs import notes_on_pairs

        pair = require_planned_pair(inputs.get("base"), inputs.get("aligned"))
        planned = planned_pairs(inputs)
        reader = inputs.get("base" if params.template == "none" else "aligned")
        refused = notes_on_pairs(params, planned, reader) if reader is not None else ()
        settings = notes_on_settings(*pair)
        return (*settings, *refused, *notes_on_held_out(params, inputs, planned))

    def forecast(self, params: PreferencesParams, at: Situation) -> Forecast | None:
        """Count both models' passes and continuations."""
        from jobs.preferring.preferences_forecast import forecast_preferences

        return forecast_preferences(params, at, planned_pairs(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Measure a few pairs, and short continuations."""
        small = lowered(self.Params, written, token_budget=1024, new_tokens=4)
        return {**super().in_small(written, stand_ins), **small}

    def run(self, work: Work[PreferencesParams]) -> dict[str, object]:
        """Write `measurements.parquet`; the facts count pairs, also those left out, and why."""
        from jobs.preferring.preferences import measure_training

        with as_out_of_memory("measuring preferences"):
            return measure_training(work)
