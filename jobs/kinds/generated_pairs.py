"""Kind `generated-pairs`: pairs that a model writes: what it says, and what it says when pushed.

Chosen is the model's greedy continuation of a prompt, rejected what it draws while its residual
stream is pushed towards toxic text, as Lee et al. 2024 made theirs (section 4.2) with PPLM. Every
base for itself gives on-policy pairs, one fixed model for all of them off-policy ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.long_table.circumstances import Origin
from jobs.generation.direction import DIRECTIONS
from jobs.generation.generated_pairs_params import GeneratedPairsParams
from jobs.kind import Forecast, Input, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import PROMPTS, WEIGHTS, planned_prompts
from jobs.provenance import Data
from jobs.rehearsal import FEW, StandIns, enough_validation, lowered
from jobs.worker.work import Work


class GeneratedPairs(Kind[GeneratedPairsParams]):
    """Lets a model write both continuations of every prompt."""

    VERSION = 2
    INPUTS = {
        "model": WEIGHTS,
        "prompts": PROMPTS,
        "lexicon": Input(kinds=frozenset({"pairs", "labelled-texts"})),
        "toxic": Input(kinds=frozenset({"probe-direction"}), used_if_named=True),
    }
    Params = GeneratedPairsParams
    LEAVES = Data(origin=Origin.STEERED)
    USES_TORCH = True

    def uses(self, params: GeneratedPairsParams) -> frozenset[str]:
        """Return model, prompts and lexicon, and the probe for a direction that is made of it."""
        needs_probe = DIRECTIONS.find(params.direction, where="direction").NEEDS_PROBE
        return frozenset({"model", "prompts", "lexicon", *(("toxic",) if needs_probe else ())})

    def pins(self, params: GeneratedPairsParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Check that the direction exists; nothing outside is read."""
        DIRECTIONS.find(params.direction, where="direction")
        return {}

    def notes(self, params: GeneratedPairsParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say nothing.

        Raises UserError where a prompt has a token without an embedding, or the model no stream.
        """
        from jobs.extraction.planned_places import require_site
        from jobs.tokens.planned_tokens import check_prompts

        require_site(inputs.get("model"), "resid_post")
        check_prompts(planned_prompts(inputs), inputs.get("model"))
        return ()

    def forecast(self, params: GeneratedPairsParams, at: Situation) -> Forecast | None:
        """Count the examples, and two continuations of every prompt."""
        from jobs.generation.generated_pairs_forecast import forecast_writing

        return forecast_writing(params, at, planned_prompts(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Write short continuations."""
        small = lowered(self.Params, written, num_examples=FEW, new_tokens=6, token_budget=1024)
        whole = super().in_small(written, stand_ins)
        return {**whole, **small, **enough_validation(written)}

    def run(self, work: Work[GeneratedPairsParams]) -> dict[str, object]:
        """Write `pairs.parquet`, `report.json` and `toxic.json`."""
        from jobs.generation.generated_pairs import generate_pairs

        return generate_pairs(work)
