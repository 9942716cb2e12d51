"""Kind `probe-direction`: W_toxic of a model, and its toxic value vectors with their SVD."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.kind import Forecast, Input, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import WEIGHTS, planned_pairs
from jobs.probing.probe_direction_params import Params as ProbeDirectionParams
from jobs.provenance import Results
from jobs.rehearsal import FEW, StandIns, lowered, sampled
from jobs.worker.work import Work


class ProbeDirection(Kind[ProbeDirectionParams]):
    """Fits the linear probe for toxicity and finds the value vectors along it."""

    VERSION = 1
    INPUTS = {
        "model": WEIGHTS,
        "pairs": Input(kinds=frozenset({"pairs"}), used_if_named=True),
        "texts": Input(kinds=frozenset({"labelled-texts"}), used_if_named=True),
    }
    Params = ProbeDirectionParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True
    SWEEPS = ("vector",)
    MEASURES = (
        *("probe_auc", "probe_balanced_accuracy", "probe_accuracy", "probe_majority"),
        *("toxic_cosine", "promoted_toxic_words"),
    )

    def uses(self, params: ProbeDirectionParams) -> frozenset[str]:
        """Return the model, and the texts that the probe is fitted to or judged on."""
        return frozenset({"model", params.learned_from})

    def notes(self, params: ProbeDirectionParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say nothing. Raises UserError where model or probe cannot be used."""
        from jobs.extraction.planned_places import require_site
        from jobs.probing.planned_probe import require_planned_probe

        require_site(inputs.get("model"), "resid_post")
        require_planned_probe(params.probe, inputs.get("model"))
        return ()

    def forecast(self, params: ProbeDirectionParams, at: Situation) -> Forecast | None:
        """Count one pass over the texts."""
        from jobs.probing.probe_direction_forecast import forecast_probe

        return forecast_probe(params, at, planned_pairs(at.inputs))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Fit to few texts, and keep few vectors; a released probe is a random vector."""
        most = {"num_vectors": 16, "num_svd": 4, "num_read_out": 4, "token_budget": 1024}
        small = {**lowered(self.Params, written, **most), **sampled(written, max_texts=FEW)}
        if isinstance(written.get("probe"), str):
            small["probe"] = stand_ins.vector(written["probe"])
        return {**super().in_small(written, stand_ins), **small}

    def run(self, work: Work[ProbeDirectionParams]) -> dict[str, object]:
        """Write the directions, what they say, and how good the probe is as a measurement."""
        from jobs.probing.toxic_directions import find_directions

        return find_directions(work)
