"""Kind `reference`: what the base gives every pair, once for all objectives, betas and seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.kind import Fit, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import PAIRS, WEIGHTS, planned_pairs
from jobs.provenance import Results
from jobs.rehearsal import StandIns
from jobs.training.reference_params import Params as ReferenceParams
from jobs.worker.out_of_memory import as_out_of_memory
from jobs.worker.work import Work


class Reference(Kind[ReferenceParams]):
    """Scores every pair with the base."""

    VERSION = 2
    INPUTS = {"model": WEIGHTS, "pairs": PAIRS}
    Params = ReferenceParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True

    def fit(self, params: ReferenceParams, at: Situation) -> Fit:
        """Choose GPUs and rows at a time, from the model's config and the machines."""
        from jobs.training.planning.scoring_fit import fit_scoring

        return fit_scoring(params, at, planned_pairs(at.inputs))

    def notes(self, params: ReferenceParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which pairs the chat template of the model refuses."""
        from jobs.training.planning.refused_pairs import notes_on_pairs

        return notes_on_pairs(params, planned_pairs(inputs), inputs["model"])

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Score without GPUs, in small batches."""
        return {**super().in_small(written, stand_ins), "micro_batch": 8}

    def run(self, work: Work[ReferenceParams]) -> dict[str, object]:
        """Write `reference.parquet`: sums of log-probability over the tokens of both answers."""
        from jobs.training.reference_scores import score_reference

        with as_out_of_memory("scoring pairs"):
            return score_reference(work)
