"""From two models to rows of measurements of what they predict. One model is held at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.measurement import Measurement
from jobs.models.device import pick_device
from jobs.predicting.divergence import measure_divergences, read_final_rows
from jobs.predicting.head import Head
from jobs.predicting.logit_lens import LensReadings, read_lens
from jobs.predicting.output_tokens import OutputTokens, find_output_tokens
from jobs.predicting.prediction_measurements import measure_divergence, measure_lens
from jobs.predicting.prediction_plan import PredictionPlan, plan_predictions
from jobs.taps.pair_loading import PairLoading
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelReadings:
    """What was read of one model."""

    lens: LensReadings | None
    """By layer; None where it was not asked for, or the family has none of the sites."""
    outputs: OutputTokens | None
    """What is said after the prompts; None where divergences were not asked for."""
    rows: Tensor | None
    """What leaves the last block where each output is predicted."""


def predict(work: Work) -> dict[str, Any]:
    """Measure everything asked for and write it; returns the record's facts."""
    question = plan_predictions(work)
    rows = _rows(work, question)
    _mirror(work, rows)
    return {
        "rows": write_measurements(work.folder, rows, question.model),
        "num_prompts": len(question.plan.prompts),
        "num_too_long": len(question.too_long),
        "num_toxic_words": question.toxic.num_words,
        "num_toxic_words_covered": question.toxic.num_covered,
    }


def _rows(work: Work, question: PredictionPlan) -> list[Measurement]:
    loading = PairLoading(work, dtype=question.dtype, device=pick_device(work.params.num_gpus))
    resident = loading.switched() if loading.has_adapter else None
    # The aligned model first: it says what stands where a prompt has no answer.
    model = resident[1] if resident else loading.one("aligned")
    aligned = _look(work, question, model, "aligned", None)
    head = Head(model) if resident else Head.left_of(model)
    model = resident[0] if resident else loading.one("base")
    base = _look(work, question, model, "base", aligned.outputs)
    rows: list[Measurement] = []
    if "logit_lens" in question.params.metrics:
        rows += measure_lens(question, base.lens, aligned.lens)
    if aligned.outputs is not None:
        assert aligned.rows is not None and base.rows is not None
        total = len(aligned.rows)
        nats = measure_divergences(
            (head, aligned.rows),
            (Head(model), base.rows),
            lambda done: work.progress(done / total, "comparing outputs"),
        )
        rows += measure_divergence(aligned.outputs, nats, work.params.num_positions)
    return rows


def _look(
    work: Work, question: PredictionPlan, model: Any, name: str, outputs: OutputTokens | None
) -> ModelReadings:
    """Read one model; the outputs are the aligned one's, found when there are none yet."""
    params, plan = question.params, question.plan

    def show(doing: str) -> Callable[[int], None]:
        return lambda done: work.progress(done / len(plan.prompts), f"{name}: {doing}")

    found, rows = None, None
    if "logit_lens" in params.metrics and question.places:
        found = read_lens(
            model,
            plan,
            positions=question.asked,
            places=question.places,
            token_set=question.toxic.token_ids,
            token_budget=params.token_budget,
            after_batch=show("reading layers"),
        )
    if "token_kl" in params.metrics:
        budget = params.token_budget
        outputs = outputs or find_output_tokens(
            model,
            plan,
            params.num_positions,
            token_budget=budget,
            after_batch=show("continuing prompts"),
        )
        rows = read_final_rows(
            Head(model), outputs, token_budget=budget, after_batch=show("reading outputs")
        )
    return ModelReadings(lens=found, outputs=outputs, rows=rows)


def _mirror(work: Work, measurements: Sequence[Measurement]) -> None:
    """Log one point of each curve per layer, and per output."""
    along: dict[tuple[str, int], dict[str, float]] = {}
    for each in measurements:
        place = str(each.position)
        if each.value is None:
            continue
        if each.layer is not None:
            point, curve = ("layer", each.layer), f"{each.metric}/{each.site} {place}"
        elif place.startswith("output-"):
            point, curve = ("output", int(place.removeprefix("output-"))), each.metric
        else:
            continue
        along.setdefault(point, {})[curve] = each.value
    for (axis, step), values in sorted(along.items()):
        work.tracker.log(values, axis=axis, step=step)
