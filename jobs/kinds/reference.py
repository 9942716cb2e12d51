"""Kind `reference`: what the base gives every pair, once for all objectives, betas and seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.resources import Resources
from jobs.kind import Fit, Input, Kind, Upstream
from jobs.provenance import Results
from jobs.training.reference_params import Params as ReferenceParams
from jobs.worker.work import Work


class Reference(Kind[ReferenceParams]):
    """Scores every pair with the base."""

    VERSION = 2
    INPUTS = {
        "model": Input(kinds=frozenset({"pretrained", "pretrain", "align", "adapter"})),
        "pairs": Input(kinds=frozenset({"pairs", "generated-pairs"})),
    }
    Params = ReferenceParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True

    def fit(
        self,
        params: ReferenceParams,
        inputs: Mapping[str, Upstream],
        *,
        machines: Sequence[Resources],
        tried: Sequence[Mapping[str, Any]] = (),
        done: Sequence[Mapping[str, Any]] = (),
    ) -> Fit:
        """Choose GPUs and rows at a time, from the model's config and the machines."""
        from jobs.training.planning.scoring_fit import fit_scoring

        return fit_scoring(params, inputs, machines, tried)

    def run(self, work: Work[ReferenceParams]) -> dict[str, object]:
        """Write `reference.parquet`: sums of log-probability over the tokens of both answers."""
        from jobs.training.peak_memory import as_out_of_memory
        from jobs.training.reference_scores import score_reference

        with as_out_of_memory("scoring pairs"):
            return score_reference(work)
