"""Measurements of what training achieved: means over pairs, or over sampled tokens, by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.evaluation import missing, with_estimate
from analysis.estimates.group_means import estimated_mean
from analysis.estimates.length_dependence import length_dependence
from analysis.estimates.shares import estimated_share
from analysis.measurement import Measurement
from analysis.status import Status
from jobs.predicting.output_tokens import OutputTokens
from jobs.preferring.definitions import DEFINITIONS
from jobs.preferring.paired_tokens import HeldOutPairs
from jobs.preferring.preferences_params import Params
from jobs.preferring.sampling import Samples
from jobs.preferring.sequences import TokenScores

Numbers = Float64[np.ndarray, " pairs"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairScores:
    """Log-probability of every token of both sides of pairs, under one model."""

    chosen: TokenScores
    """Of the chosen sides."""
    rejected: TokenScores
    """Of the rejected sides."""

    def sums(self) -> tuple[Numbers, Numbers]:
        """Return the sums over the tokens of each side."""
        chosen, rejected = (
            np.array([side.sum() for side in sides]) for sides in (self.chosen, self.rejected)
        )
        return chosen, rejected

    def lengths(self) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
        """Return the number of tokens of each side that are predicted."""
        chosen, rejected = (
            np.array([len(side) for side in sides]) for sides in (self.chosen, self.rejected)
        )
        return chosen, rejected


@dataclass(frozen=True, kw_only=True, eq=False)
class Divergences:
    """KL(aligned||base) at every output of the aligned model's continuations, in nats."""

    outputs: OutputTokens
    """The outputs."""
    nats: Float64[np.ndarray, " outputs"]
    """The divergence at each."""
    noise: Float64[np.ndarray, " some"] | None
    """Divergence of the base from itself in other batches, at the first outputs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What both models said; None or empty where no metric of the job needs it."""

    aligned: PairScores | None
    """The aligned model's scores of the pairs."""
    base: PairScores | None
    """The base's scores of the pairs."""
    base_again: PairScores | None
    """The base's scores of the first pairs, in other batches."""
    chosen_words: Sequence[int]
    """Tokens of each chosen side before one that ends a text."""
    samples: Samples | None
    """The base's own continuations."""
    sample_scores: TokenScores
    """The base's scores of those."""
    divergences: Divergences | None
    """Divergences along the aligned model's continuations."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """What one model changed of another's log-probabilities of pairs, in nats."""

    chosen: Numbers
    """Change of each chosen side, summed over its tokens."""
    rejected: Numbers
    """The same of each rejected side."""
    lengths: tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]
    """Tokens of both sides."""

    @classmethod
    def between(cls, after: PairScores, before: PairScores) -> Changes:
        """Subtract scores of the same pairs."""
        (chosen, rejected), (old_chosen, old_rejected) = after.sums(), before.sums()
        return cls(
            chosen=chosen - old_chosen, rejected=rejected - old_rejected, lengths=after.lengths()
        )

    def values(self) -> dict[str, Numbers]:
        """Return every metric's numbers by pair; shares are made from the margins."""
        chosen, rejected = self.chosen / self.lengths[0], self.rejected / self.lengths[1]
        return {
            "reward_margin": self.chosen - self.rejected,
            "reward_margin_per_token": chosen - rejected,
            "chosen_logp_change": chosen,
            "rejected_logp_change": rejected,
        }


def measure_preferences(
    held_out: HeldOutPairs, evidence: Evidence, params: Params
) -> Iterator[Measurement]:
    """Yield every value of the metrics that the params name."""
    wanted = {*params.metrics}
    rows = [*_of_changes(held_out, evidence), *_of_base(held_out, evidence)]
    rows += [_of_divergence(held_out, evidence), *_on_policy(held_out, evidence, params)]
    for row in rows:
        if any(_belongs(row.metric, name) for name in wanted):
            yield row


def _belongs(value: str, metric: str) -> bool:
    return value.startswith(metric) or value.endswith(f"_{metric}")


def _of_changes(held_out: HeldOutPairs, evidence: Evidence) -> Iterator[Measurement]:
    """Yield what the aligned model changed, with the floor that rounding alone gives."""
    if evidence.aligned is None or evidence.base is None:
        return
    changes = Changes.between(evidence.aligned, evidence.base)
    values, noise = changes.values(), _noise(evidence)
    for what in ("reward_margin", "reward_margin_per_token"):
        name = what.replace("reward_margin", "preference_accuracy")
        ties = float(np.abs(noise[what]).max()) if what in noise else 0.0
        yield _accuracy(held_out, name, values[what], ties)
    for name, numbers in values.items():
        yield _with_floor(_mean(held_out, name, numbers), noise.get(name))
    yield from _length_rows(held_out, "reward_margin", values["reward_margin"], changes.lengths)


def _noise(evidence: Evidence) -> dict[str, Numbers]:
    """Return the base's change against itself by metric, in other batches."""
    again, base = evidence.base_again, evidence.base
    if again is None or base is None or not len(again.chosen):
        return {}
    count = len(again.chosen)
    first = PairScores(chosen=base.chosen[:count], rejected=base.rejected[:count])
    return Changes.between(again, first).values()


def _of_base(held_out: HeldOutPairs, evidence: Evidence) -> Iterator[Measurement]:
    """Yield what the base makes of the pairs."""
    if evidence.base is None:
        return
    (chosen, rejected), lengths = evidence.base.sums(), evidence.base.lengths()
    yield _mean(held_out, "base_margin", chosen - rejected)
    yield _mean(held_out, "base_margin_per_token", chosen / lengths[0] - rejected / lengths[1])
    yield from _length_rows(held_out, "base_margin", chosen - rejected, lengths)


def _of_divergence(held_out: HeldOutPairs, evidence: Evidence) -> Measurement:
    blank = _blank("kl_per_token")
    divergences = evidence.divergences
    if divergences is None:
        return missing(blank, "no prompt leaves room for a continuation")
    plan = divergences.outputs.plan
    groups = plan.groups[plan.owners[divergences.outputs.after]]
    left_out = len(held_out.pairs) - len(plan.prompts)
    row = _estimated(held_out, blank, divergences.nats, groups, _no_room(left_out))
    row = replace(row, low=None if row.low is None else max(row.low, 0.0))
    return _with_floor(row, divergences.noise)


def _on_policy(held_out: HeldOutPairs, evidence: Evidence, params: Params) -> Iterator[Measurement]:
    """Yield how likely the chosen side is under the base beside the base's own words."""
    samples, base = evidence.samples, evidence.base
    if samples is None or base is None:
        return
    chosen, own, places = [], [], []
    for place, said in zip(samples.places, evidence.sample_scores, strict=True):
        scores = base.chosen[place]
        length = min(evidence.chosen_words[place], len(said), params.new_tokens)
        if length:
            chosen.append(scores[:length].mean())
            own.append(said[:length].mean())
            places.append(place)
    names = ("on_policy_chosen", "on_policy_chosen_logp", "on_policy_chosen_own_logp")
    if not places:
        for name in names:
            yield missing(_blank(name), "the base continues no prompt")
        return
    sides = np.array(chosen), np.array(own)
    note = _no_room(len(held_out.pairs) - len(places))
    for name, numbers in zip(names, (sides[0] - sides[1], *sides), strict=True):
        yield _estimated(held_out, _blank(name), numbers, held_out.groups[places], note)


def _length_rows(
    held_out: HeldOutPairs,
    name: str,
    margins: Numbers,
    lengths: tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]],
) -> Iterator[Measurement]:
    """Yield how a margin of sums follows length, and what it is at equal length."""
    blanks = [_blank(f"{name}_{what}") for what in ("length_correlation", "at_equal_length")]
    found = None
    if np.isfinite(margins).all():
        found = length_dependence(margins, lengths[0] - lengths[1], held_out.groups)
    if found is None:
        reason = "all pairs differ in length by the same, or have the same margin"
        yield from (missing(blank, reason) for blank in blanks)
        return
    mean = estimated_mean(margins, held_out.groups)
    note = None
    if found.decides_sign(mean):
        note = f"length decides the sign of {name}: read {name}_per_token"
    for blank, estimate in zip(blanks, (found.correlation, found.at_equal_length), strict=True):
        yield with_estimate(blank, estimate, held_out.groups, note=_joined(held_out, note))


def _accuracy(held_out: HeldOutPairs, name: str, margins: Numbers, ties: float) -> Measurement:
    """Return the share of pairs with a margin above 0; within rounding a pair counts half."""
    blank = _blank(name)
    reason = _not_finite(margins)
    if reason is not None:
        return missing(blank, reason)
    is_tie = np.abs(margins) <= ties
    right = np.where(is_tie, 0.5, (margins > 0).astype(np.float64))
    estimate = estimated_share(right, held_out.groups, len(np.unique(held_out.prompts)))
    row = with_estimate(blank, estimate, held_out.groups, note=_joined(held_out))
    if is_tie.all() and row.status is Status.OK:
        why = "no margin is larger than what rounding gives the base against itself"
        return replace(row, floor=0.5, status=Status.BELOW_NOISE_FLOOR, reason=why)
    return replace(row, floor=0.5)


def _mean(held_out: HeldOutPairs, name: str, values: Numbers) -> Measurement:
    return _estimated(held_out, _blank(name), values, held_out.groups)


def _estimated(
    held_out: HeldOutPairs,
    blank: Measurement,
    values: Float64[np.ndarray, " rows"],
    groups: Int64[np.ndarray, " rows"],
    note: str | None = None,
) -> Measurement:
    reason = _not_finite(values)
    if reason is not None:
        return missing(blank, reason)
    return with_estimate(
        blank, estimated_mean(values, groups), groups, note=_joined(held_out, note)
    )


def _with_floor(row: Measurement, noise: Float64[np.ndarray, " some"] | None) -> Measurement:
    """Return a row with the same metric of the base against itself, and judged by it."""
    if noise is None or row.value is None:
        return row
    floor = abs(float(noise.mean()))
    if abs(row.value) > floor or row.status is not Status.OK:
        return replace(row, floor=floor)
    why = f"the base against itself gives {floor:.3g}"
    return replace(row, floor=floor, status=Status.BELOW_NOISE_FLOOR, reason=why)


def _blank(name: str) -> Measurement:
    return Measurement(metric=name, definition=DEFINITIONS[name])


def _not_finite(values: Float64[np.ndarray, " rows"]) -> str | None:
    num_bad = int((~np.isfinite(values)).sum())
    return f"{num_bad} of {len(values)} numbers are not finite" if num_bad else None


def _no_room(count: int) -> str | None:
    return f"{count} pairs give no continuation" if count else None


def _joined(held_out: HeldOutPairs, *notes: str | None) -> str | None:
    """Return remarks that hold for every row, and notes on this one, as one sentence."""
    texts: Sequence[str] = [note for note in (*notes, *held_out.remarks) if note]
    return "; ".join(texts) or None
