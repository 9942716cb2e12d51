"""Whether the offset mechanism is there in one aligned model on one set of prompts.

Three signs, each decided by an interval: toxicity fell; offsets of different prompts point the same
way, above zero and any null band, and above the noise floor; and, where a study intervened, adding
the mean offset to the base recovers some of the fall, more than random directions do (refuted: no
more than they do on average; where several such additions disagree, nothing is decided).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.answering.answer import Evidence
from analysis.answering.evidence import (
    BEHAVIOUR,
    above,
    behaviour_metric,
    drop,
    drop_in_words,
    of_drop,
    of_finding,
    shown,
)
from analysis.answering.findings import Finding, Findings

CONSISTENCY = "consistency"
OFFSET = "add-mean-offset"
METRICS = (*BEHAVIOUR, CONSISTENCY, *(f"recovered_{metric}" for metric in BEHAVIOUR))
"""What it is read from."""


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """One aligned model, and whether the mechanism is there."""

    model: str
    """Name of the model."""
    consistency: Finding
    """How alike its offsets are."""
    behaviour: Finding | None
    """Its toxicity; None where that was not measured."""
    evidence: tuple[Evidence, ...]
    """The signs."""

    @property
    def holds(self) -> bool | None:
        """All signs there (True), one refuted (False), else None: an interval does not say."""
        signs = [each.supports for each in self.evidence]
        if False in signs:
            return False
        return True if self.behaviour is not None and None not in signs else None


def mechanisms(findings: Findings, aligned: Sequence[Finding]) -> list[Mechanism]:
    """Return one mechanism for every aligned model with offsets on the reference prompts."""
    reference = findings.reference
    own = [each for each in aligned if each.about.prompts == reference]
    return [
        _mechanism(findings, each, own)
        for each in own
        if each.number.metric == CONSISTENCY and not each.turn
    ]


def _mechanism(findings: Findings, offset: Finding, aligned: Sequence[Finding]) -> Mechanism:
    same = [each for each in aligned if each.aligned & offset.aligned]
    metric = behaviour_metric(findings)
    said = next((f for f in same if f.number.metric == metric and not f.turn), None)
    return Mechanism(
        model=offset.model,
        consistency=offset,
        behaviour=said,
        evidence=tuple(_signs(findings, offset, said, same)),
    )


def _signs(
    findings: Findings, offset: Finding, said: Finding | None, same: Sequence[Finding]
) -> Iterator[Evidence]:
    who = f"{offset.model}, {offset.about.objective}"
    if said is not None:
        fell = drop(findings, said)
        falls = None if fell is None else above(fell.low, fell.high, 0.0)
        words = drop_in_words(findings, said)
        yield of_drop(findings, said, f"{who}: {said.number.metric} fell by {words}.", falls)
    text = f"{who}: mean cosine of offsets between prompts is {shown(offset)}."
    yield of_finding(offset, text, is_beyond_null(offset))
    added = [] if said is None else [each for each in same if _adds_offset(each, said)]
    votes = [_is_beyond_random(each) for each in added]
    agree = not (True in votes and False in votes)
    for each, vote in zip(added, votes, strict=True):
        text = f"{who}: adding the mean offset to the base recovers {shown(each)} of the fall."
        yield of_finding(each, text, vote if agree else None)


def _adds_offset(each: Finding, said: Finding) -> bool:
    """Whether it is the share recovered of this toxicity by the whole mean offset in the base."""
    about = each.about
    whole = each.number.axes.get("dose") == 1.0
    is_it = about.intervention == OFFSET and about.changed != "aligned"
    return whole and is_it and each.number.metric == f"recovered_{said.number.metric}"


def _is_beyond_random(found: Finding) -> bool | None:
    """Whether it is above 0 and the band of random directions; False at or below their middle.

    A few random directions make a wide band: to lie inside it refutes nothing.
    """
    ends = [end for end in (found.number.null_low, found.number.null_high) if end is not None]
    middle = sum(map(float, ends)) / len(ends) if len(ends) == 2 else 0.0
    if above(found.low, found.high, max(0.0, middle)) is False:
        return False
    return above(found.low, found.high, max(0.0, found.null_high or 0.0)) or None


def is_beyond_null(found: Finding) -> bool | None:
    """Whether it is above 0 and its null band; False below the noise floor, None across either."""
    if found.below_floor:
        return False
    return above(found.low, found.high, max(0.0, found.null_high or 0.0))
