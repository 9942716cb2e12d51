"""Measurements of predictions: means over prompts with intervals, or why there is no value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.answer_metric import AnswerProfile, Point, measure_profile, profile_of
from analysis.estimates.evaluation import missing, with_estimate
from analysis.estimates.group_means import estimated_mean
from analysis.long_table.depth import depth_of
from analysis.measurement import Measurement
from analysis.status import Status
from jobs.behaviour.prompted_model import NO_WORDS
from jobs.predicting.logit_lens import LensReadings
from jobs.predicting.output_tokens import OutputTokens, has_answer
from jobs.predicting.prediction_plan import PredictionPlan
from jobs.taps.taps import Place
from jobs.tokens.positions import Position

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
    plan: PredictionPlan, base: LensReadings | None, aligned: LensReadings | None
) -> Iterator[Measurement]:
    """Yield base, aligned and drop of both metrics, at every site, layer and position."""
    for position in plan.positions:
        for metric in (TOXIC, ANSWER) if position.label == "last" else (TOXIC,):
            for place, reason in plan.missing.items():
                for blank in _blanks(plan, metric, place, position):
                    yield missing(blank, reason, Status.NOT_DEFINED_FOR_FAMILY)
            yield from _measure_places(plan, metric, position, base, aligned)


def measure_divergence(
    outputs: OutputTokens,
    nats: Float64[np.ndarray, " outputs"],
    most: int,
    over_answer: Sequence[str] = (),
) -> Iterator[Measurement]:
    """Yield the mean KL at each output, and over the first `most` outputs of every prompt.

    And the metrics over an answer: output k is at depth k - 1, that many outputs into it.
    """
    groups = outputs.plan.groups[outputs.plan.owners[outputs.after]]
    limits = (0.0, np.inf)
    for number in range(1, int(outputs.numbers.max()) + 1):
        here = outputs.numbers == number
        blank = _blank_kl(
            "token_kl", f"output-{number}", "prompts", "at the k-th output (output-k)"
        )
        yield _mean(blank, nats[here], groups[here], limits, None)
    blank = _blank_kl("token_kl_mean", "response", "outputs", f"of the first {most} of a prompt")
    yield _mean(blank, nats, groups, limits, None)
    if over_answer:
        profile = _profile(outputs, nats)
        for name in over_answer:
            yield measure_profile(name, profile, _blank_kl("token_kl", None, "prompts", ""))


def _profile(outputs: OutputTokens, nats: Float64[np.ndarray, " outputs"]) -> AnswerProfile:
    """Return KL by depth, and at the first output of the prompts that have so many."""
    owners = outputs.plan.owners[outputs.after]
    groups = outputs.plan.groups[owners]
    first = np.full(len(outputs.plan.prompts), np.nan)
    is_first = outputs.numbers == 1
    first[owners[is_first]] = nats[is_first]
    points, num_rows = {}, {}
    for number in range(1, int(outputs.numbers.max()) + 1):
        here = outputs.numbers == number
        points[number - 1] = (
            _point(nats[here], groups[here]),
            _point(first[owners[here]], groups[here]),
        )
        num_rows[number - 1] = int(here.sum())
    counts = dict(zip(*np.unique(groups[is_first], return_counts=True), strict=True))
    return profile_of("token_kl", points, counts, num_rows)


def _point(values: Float64[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"]) -> Point:
    """Return a mean of all groups, and without each."""
    estimate = estimated_mean(values, groups)
    numbers = np.unique(groups).tolist()
    return estimate.value, dict(zip(numbers, estimate.left_out, strict=False))


def _blank_kl(metric: str, position: str | None, what: str, where: str) -> Measurement:
    definition = _KL.format(what=what, where=where)
    return Measurement(metric=metric, definition=definition, position=position)


def _measure_places(
    plan: PredictionPlan,
    metric: str,
    position: Position,
    base: LensReadings | None,
    aligned: LensReadings | None,
) -> Iterator[Measurement]:
    """Yield one metric at one position of the sites that exist."""
    tokens = np.flatnonzero(position.tokens)
    if metric == ANSWER:
        tokens = tokens[has_answer(plan.tokens)[plan.tokens.owners[tokens]]]
    groups = plan.tokens.groups[plan.tokens.owners[tokens]]
    reason, note = _reservations(plan, metric, len(tokens))
    for number, place in enumerate(plan.places):
        blanks = _blanks(plan, metric, place, position)
        if reason is not None:
            yield from (missing(blank, reason) for blank in blanks)
            continue
        assert base is not None and aligned is not None
        first, second = (_values(lens, metric, number, tokens) for lens in (base, aligned))
        yield _mean(blanks[0], first, groups, (0.0, 1.0), note)
        yield _mean(blanks[1], second, groups, (0.0, 1.0), note)
        yield _mean(blanks[2], first - second, groups, (-1.0, 1.0), note)


def _blanks(
    plan: PredictionPlan, metric: str, place: Place, position: Position
) -> list[Measurement]:
    """Return base, aligned and drop at one place, without numbers."""
    site, layer = place
    definitions = {
        name: _LENS.format(whose=_whose(plan, metric), name=name) for name in ("base", "aligned")
    } | {"drop": _DROP.format(metric=metric)}
    return [
        Measurement(
            metric=f"{metric}_{name}",
            definition=definition,
            site=site,
            layer=layer,
            depth=depth_of(layer, plan.model["num_layers"]),
            position=position.label,
        )
        for name, definition in definitions.items()
    ]


def _whose(plan: PredictionPlan, metric: str) -> str:
    chosen = plan.params.token_ids
    if metric != TOXIC or chosen is None:
        return _WHOSE[metric]
    return f"of the tokens {', '.join(map(str, sorted(set(chosen))))}"


def _reservations(
    plan: PredictionPlan, metric: str, num_tokens: int
) -> tuple[str | None, str | None]:
    """Return why there is no number (or None), and a note on a number that there is (or None)."""
    toxic = plan.toxic
    if metric == ANSWER:
        return (None if num_tokens else "no prompt has an answer"), None
    if not toxic.num_words:
        return NO_WORDS, None
    covered = (
        f"{toxic.num_covered} of {toxic.num_words} toxic words are one token; a layer is read for "
        "those alone"
    )
    if not toxic.num_covered:
        return covered, None
    return None, covered if toxic.num_covered < toxic.num_words else None


def _values(
    lens: LensReadings, metric: str, place: int, tokens: Int64[np.ndarray, " tokens"]
) -> Float64[np.ndarray, " tokens"]:
    columns = np.searchsorted(lens.tokens, tokens)
    probabilities = lens.toxic if metric == TOXIC else lens.following
    return np.asarray(probabilities[place, columns])


def _mean(
    blank: Measurement,
    values: Float64[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
    limits: tuple[float, float],
    note: str | None,
) -> Measurement:
    num_nonfinite = int((~np.isfinite(values)).sum())
    if num_nonfinite:
        return missing(blank, f"{num_nonfinite} of {len(values)} predictions are not numbers")
    estimate = estimated_mean(values, groups).within(*limits)
    return with_estimate(blank, estimate, groups, note=note)
