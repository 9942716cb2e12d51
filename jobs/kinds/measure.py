"""Kind `measure`: metrics of δ at every site, layer and position that an extraction kept."""

from collections.abc import Mapping, Sequence

from analysis.estimates.answer_metric import ANSWER_METRICS
from analysis.metric import METRICS
from jobs.kind import Input, Upstream
from jobs.kinds._shared_inputs import planned_prompts
from jobs.measuring.metric_names import MetricNameParams
from jobs.measuring.metrics_kind import MetricsKind
from jobs.measuring.needed_inputs import needed_inputs, require_inputs
from jobs.measuring.over_answer import OverAnswerParams
from jobs.provenance import Results
from jobs.worker.work import Work


class MeasureParams(OverAnswerParams, MetricNameParams):
    """What to measure."""

    METRICS = METRICS

    @classmethod
    def in_all(cls) -> list[str]:
        """Return the names that `all` stands for: metrics that came later must be named."""
        return [name for name in super().in_all() if METRICS.find(name).IN_ALL]


class Measure(MetricsKind[MeasureParams]):
    """Applies metrics to what an extraction kept."""

    VERSION = 4
    INPUTS = {
        "delta": Input(kinds=frozenset({"extract"})),
        "against": Input(kinds=frozenset({"extract"}), dispensable=True, other_than="delta"),
        "toxic": Input(kinds=frozenset({"probe-direction"}), dispensable=True),
    }
    Params = MeasureParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False

    HEADLINES = {"half_depth_relative_norm": 130}

    @property
    def MEASURES(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of all metrics, and of those over an answer."""
        return (*super().MEASURES, *ANSWER_METRICS.names())

    def uses(self, params: MeasureParams) -> frozenset[str]:
        """Return `delta`, and of the others only what a chosen metric needs."""
        needed = needed_inputs(params.metrics)
        return frozenset({"delta", *(name for name, metrics in needed.items() if metrics)})

    def notes(self, params: MeasureParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which metrics may be refused for want of prompts.

        Raises UserError where one that the study names needs what the stage does not give.
        """
        from jobs.measuring.few_prompts import notes_on_few_prompts

        require_inputs(params.named, params.over_answer, inputs)
        delta = inputs["delta"]
        return notes_on_few_prompts(params.metrics, delta, planned_prompts(delta.inputs))

    def run(self, work: Work[MeasureParams]) -> dict[str, object]:
        """Write measurements.parquet; the facts count its rows by status."""
        from jobs.measuring.store_measurements import measure

        return measure(work)
