"""Measurements of what two models predict, from both models' readings; one is loaded at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from analysis.measurement import Measurement
from jobs.extraction.paired_inputs import settings_facts
from jobs.models.language_model import LanguageModel
from jobs.predicting.divergence import measure_divergences, read_final_rows
from jobs.predicting.head import Head
from jobs.predicting.logit_lens import LensReadings, read_lens
from jobs.predicting.output_tokens import OutputTokens, find_output_tokens
from jobs.predicting.prediction_measurements import measure_divergence, measure_lens
from jobs.predicting.prediction_plan import PredictionPlan, plan_predictions
from jobs.predicting.predictions_params import Params
from jobs.taps.pair_loading import PairLoading
from jobs.worker.measured_rows import log_curves, write_measurements
from jobs.worker.work import Work


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelReadings:
    """What is read of one model."""

    lens: LensReadings | None
    """Readings by layer; None where the study wants none, or the family has none of the sites."""
    outputs: OutputTokens | None
    """Tokens after the prompts; None where the study wants no divergences."""
    rows: Tensor | None
    """Rows [outputs, d] after the last block at each output; None where `outputs` is."""


def predict(work: Work[Params]) -> dict[str, object]:
    """Measure all metrics of the params and write the results; return the record's facts."""
    plan = plan_predictions(work)
    measurements = _measure(work, plan)
    log_curves(work.tracker, measurements, _point_of)
    return {
        "rows": write_measurements(work.folder, measurements, plan.model),
        "num_prompts": len(plan.tokens.prompts),
        **plan.left_out.facts(),
        **settings_facts(work.input("base"), work.input("aligned")),
        "num_toxic_words": plan.toxic.num_words,
        "num_toxic_words_covered": plan.toxic.num_covered,
    }


def _measure(work: Work[Params], plan: PredictionPlan) -> list[Measurement]:
    loading = PairLoading(work)
    resident = loading.load_with_adapter() if loading.has_adapter else None
    # The aligned model comes first: it continues the prompts that have no answer.
    model: LanguageModel = resident[1] if resident else loading.load("aligned")
    aligned = _read_model(work, plan, model, "aligned", None)
    head = Head(model) if resident else Head.remaining_from(model)
    model = resident[0] if resident else loading.load("base")
    base = _read_model(work, plan, model, "base", aligned.outputs)
    measurements: list[Measurement] = []
    if "logit_lens" in plan.params.metrics:
        measurements += measure_lens(plan, base.lens, aligned.lens)
    if aligned.outputs is not None:
        assert aligned.rows is not None and base.rows is not None
        total = len(aligned.rows)
        nats = measure_divergences(
            (head, aligned.rows),
            (Head(model), base.rows),
            lambda num_done: work.progress(num_done / total, "comparing outputs"),
        )
        measurements += measure_divergence(
            aligned.outputs, nats, work.params.num_positions, work.params.over_answer
        )
    return measurements


def _read_model(
    work: Work[Params],
    plan: PredictionPlan,
    model: LanguageModel,
    name: str,
    outputs: OutputTokens | None,
) -> ModelReadings:
    """Read one model at the given outputs, or find outputs first where there are none yet."""
    params, tokens = plan.params, plan.tokens

    def report(doing: str) -> Callable[[int], None]:
        return lambda num_done: work.progress(num_done / len(tokens.prompts), f"{name}: {doing}")

    lens, rows = None, None
    if "logit_lens" in params.metrics and plan.places:
        lens = read_lens(
            model,
            tokens,
            positions=plan.positions,
            places=plan.places,
            token_set=plan.toxic.token_ids,
            token_budget=params.token_budget,
            after_batch=report("reading layers"),
        )
    if "token_kl" in params.metrics:
        budget = params.token_budget
        outputs = outputs or find_output_tokens(
            model,
            tokens,
            params.num_positions,
            token_budget=budget,
            after_batch=report("continuing prompts"),
        )
        rows = read_final_rows(
            Head(model), outputs, token_budget=budget, after_batch=report("reading outputs")
        )
    return ModelReadings(lens=lens, outputs=outputs, rows=rows)


def _point_of(measurement: Measurement) -> tuple[str, float, str] | None:
    """Return the place of a value in a curve over layers, or over outputs."""
    metric, position = measurement.metric, str(measurement.position)
    if measurement.layer is not None:
        return "layer", measurement.layer, f"{metric}/{measurement.site} {position}"
    if position.startswith("output-"):
        return "output", int(position.removeprefix("output-")), metric
    return None
