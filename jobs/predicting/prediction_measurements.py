"""Measurements of predictions: means over prompts with intervals, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from analysis.long_table.depth import depth_of
from analysis.status import Status
from jobs.behaviour.subject import NO_WORDS
from jobs.predicting.logit_lens import LensReadings
from jobs.predicting.output_tokens import OutputTokens, has_answer
from jobs.predicting.prediction_plan import PredictionPlan
from jobs.tokens.positions import Position
from jobs.worker.group_estimate import estimated_mean, measured, unmeasured

if TYPE_CHECKING:
    from jobs.taps.taps import Place

Row = dict[str, Any]

TOXIC, ANSWER = "logit_lens", "logit_lens_answer"
"""Metrics of the toxic set, and of the first token of the prompt's answer."""
_WHOSE = {
    TOXIC: "of the whole toxic words, plain or transformed,",
    ANSWER: "of the first token of the prompt's own answer",
}
_LENS = (
    "v1: mean over prompts of the probability {whose} as the next token, the residual stream read "
    "through the {name} model's own final norm and unembedding; delete-group jackknife"
)
_DROP = (
    "v1: {metric}_base less {metric}_aligned, prompt by prompt; above 0 where the aligned model "
    "expects it less; delete-group jackknife of the mean difference"
)
_KL = (
    "v1: mean over {what} of KL(aligned||base) of the next token, in nats, {where}; outputs are "
    "tokens of a prompt's own answer, teacher-forced, or where it has none of the aligned model's "
    "greedy continuation, its end included; delete-group jackknife"
)


def measure_lens(
    question: PredictionPlan, base: LensReadings | None, aligned: LensReadings | None
) -> Iterator[Row]:
    """Base, aligned and drop of both metrics, at every site, layer and position."""
    for position in question.asked:
        for metric in (TOXIC, ANSWER) if position.label == "last" else (TOXIC,):
            for place, reason in question.missing.items():
                absent = unmeasured(reason) | {"status": Status.NOT_DEFINED_FOR_FAMILY.value}
                yield from (row | absent for row in _unfilled(question, metric, place, position))
            yield from _filled(question, metric, position, base, aligned)


def measure_divergence(
    outputs: OutputTokens, nats: Float64[np.ndarray, " outputs"], most: int
) -> Iterator[Row]:
    """KL at each output, and over all of them, of which a prompt has `most` at most."""
    groups = outputs.plan.groups[outputs.plan.owners[outputs.after]]
    limits = (0.0, np.inf)
    for number in range(1, int(outputs.numbers.max()) + 1):
        here = outputs.numbers == number
        row = _unplaced("token_kl", f"output-{number}", "prompts", "at the k-th output (output-k)")
        yield row | _mean(nats[here], groups[here], limits, None)
    whole = _unplaced("token_kl_mean", "response", "outputs", f"of the first {most} of a prompt")
    yield whole | _mean(nats, groups, limits, None)


def _unplaced(metric: str, position: str, what: str, where: str) -> Row:
    definition = _KL.format(what=what, where=where)
    nowhere = {"site": None, "layer": None, "depth": None}
    return {"metric": metric, "definition": definition, "position": position, **nowhere}


def _filled(
    question: PredictionPlan,
    metric: str,
    position: Position,
    base: LensReadings | None,
    aligned: LensReadings | None,
) -> Iterator[Row]:
    """Rows of one metric and position at the sites that exist."""
    tokens = np.flatnonzero(position.tokens)
    if metric == ANSWER:
        tokens = tokens[has_answer(question.plan)[question.plan.owners[tokens]]]
    groups = question.plan.groups[question.plan.owners[tokens]]
    reason, note = _reservations(question, metric, tokens)
    for number, place in enumerate(question.places):
        rows = _unfilled(question, metric, place, position)
        if reason is not None:
            yield from (row | unmeasured(reason) for row in rows)
            continue
        assert base is not None and aligned is not None
        first, second = (_read(each, metric, number, tokens) for each in (base, aligned))
        yield rows[0] | _mean(first, groups, (0.0, 1.0), note)
        yield rows[1] | _mean(second, groups, (0.0, 1.0), note)
        yield rows[2] | _mean(first - second, groups, (-1.0, 1.0), note)


def _unfilled(question: PredictionPlan, metric: str, place: Place, position: Position) -> list[Row]:
    """Base, aligned and drop at one place, without numbers."""
    site, layer = place
    named = {
        name: _LENS.format(whose=_WHOSE[metric], name=name) for name in ("base", "aligned")
    } | {"drop": _DROP.format(metric=metric)}
    where = {
        "site": site,
        "layer": layer,
        "depth": depth_of(layer, question.model["num_layers"]),
        "position": position.label,
    }
    return [
        {"metric": f"{metric}_{name}", "definition": definition, **where}
        for name, definition in named.items()
    ]


def _reservations(
    question: PredictionPlan, metric: str, tokens: Int64[np.ndarray, " tokens"]
) -> tuple[str | None, str | None]:
    """Why there is no number, and what to know about one."""
    toxic = question.toxic
    if metric == ANSWER:
        return (None if len(tokens) else "no prompt has an answer"), None
    if not toxic.num_words:
        return NO_WORDS, None
    covered = f"{toxic.num_covered} of {toxic.num_words} toxic words are one token"
    if not toxic.num_covered:
        return covered, None
    return None, covered if toxic.num_covered < toxic.num_words else None


def _read(
    lens: LensReadings, metric: str, place: int, tokens: Int64[np.ndarray, " tokens"]
) -> Float64[np.ndarray, " tokens"]:
    columns = np.searchsorted(lens.tokens, tokens)
    of_metric = lens.toxic if metric == TOXIC else lens.following
    return np.asarray(of_metric[place, columns])


def _mean(
    values: Float64[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
    limits: tuple[float, float],
    note: str | None,
) -> Row:
    num_bad = int((~np.isfinite(values)).sum())
    if num_bad:
        return unmeasured(f"{num_bad} of {len(values)} predictions are not numbers")
    return measured(estimated_mean(values, groups).within(*limits), groups, note)
