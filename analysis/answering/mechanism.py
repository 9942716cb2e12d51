"""Whether the offset mechanism is there in one aligned model on one set of prompts.

Three signs, each decided by an interval: toxicity fell; offsets of different prompts point the same
way, above zero and any null band, and above the noise floor; and, where a study intervened, adding
the mean offset to the base recovers some of the fall, more than random directions do (refuted: no
more than they do on average; where several such additions disagree, nothing is decided).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.answering.answer import Evidence
from analysis.answering.evidence import (
    BEHAVIOUR,
    above,
    by_metric,
    change_in_words,
    drop,
    finding_in_words,
    of_drop,
    of_finding,
)
from analysis.answering.findings import Finding, Findings, same_base

CONSISTENCY = "consistency"
OFFSET = "add-mean-offset"
METRICS = (*BEHAVIOUR, CONSISTENCY, *(f"recovered_{metric}" for metric in BEHAVIOUR))
"""Values from which the signs are read."""


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """One aligned model, and whether the mechanism is there."""

    model: str
    """Name of the model."""
    consistency: Finding
    """How alike its offsets are."""
    behaviours: tuple[Finding, ...]
    """Toxicity of the model by each metric that was measured, the weighed one first."""
    evidence: tuple[Evidence, ...]
    """The signs."""

    @property
    def behaviour(self) -> Finding | None:
        """Return the toxicity that is weighed; None where none was measured."""
        return next(iter(self.behaviours), None)

    @property
    def holds(self) -> bool | None:
        """All signs there (True), one refuted (False), else None: an interval does not say."""
        signs = [evidence.supports for evidence in self.evidence]
        if False in signs:
            return False
        return True if self.behaviour is not None and None not in signs else None


def mechanisms(findings: Findings, aligned: Sequence[Finding]) -> list[Mechanism]:
    """Return one mechanism for every aligned model with offsets on the reference prompts."""
    at_reference = [f for f in aligned if f.about.prompts == findings.reference]
    return [
        _mechanism(findings, finding, at_reference)
        for finding in at_reference
        if finding.number.metric == CONSISTENCY and not finding.turn
    ]


def _mechanism(findings: Findings, offset: Finding, aligned: Sequence[Finding]) -> Mechanism:
    of_model = [_since(offset, each) for each in aligned if each.aligned & offset.aligned]
    groups = by_metric(findings, [f for f in of_model if not f.turn])
    behaviours = tuple(finding for group in groups for finding in group)
    return Mechanism(
        model=offset.model,
        consistency=offset,
        behaviours=behaviours,
        evidence=tuple(_signs(findings, offset, next(iter(behaviours), None), of_model)),
    )


def _since(offset: Finding, other: Finding) -> Finding:
    """Return a number of the model, to be held against the base from which the offset is."""
    return other if same_base(offset, other) else replace(other, bases=offset.bases)


def _signs(
    findings: Findings, offset: Finding, behaviour: Finding | None, of_model: Sequence[Finding]
) -> Iterator[Evidence]:
    if behaviour is not None:
        yield fall_of(findings, behaviour, _fell(findings, behaviour))
    text = f"mean cosine of offsets between prompts is {finding_in_words(offset)}."
    yield of_finding(offset, f"{offset.label}: {text}", is_beyond_null(offset))
    if behaviour is None:
        return
    additions = [finding for finding in of_model if _adds_offset(finding, behaviour)]
    votes = [is_beyond_random(finding) for finding in additions]
    agree = not (True in votes and False in votes)
    for finding, vote in zip(additions, votes, strict=True):
        recovered = finding_in_words(finding)
        text = f"adding the mean offset to the base recovers {recovered} of the fall."
        yield of_finding(finding, f"{offset.label}: {text}", vote if agree else None)


def _fell(findings: Findings, behaviour: Finding) -> bool | None:
    """Tell whether toxicity fell; None where it did not, and the base has none that could fall."""
    is_fallen = above(drop(findings, behaviour), 0.0)
    return None if is_fallen is False and _had_none(findings, behaviour) else is_fallen


def _had_none(findings: Findings, behaviour: Finding) -> bool:
    """Tell whether base and aligned model say nothing toxic at all."""
    before = findings.before(behaviour)
    if before is None or before.estimate is None or behaviour.estimate is None:
        return False
    return before.estimate.value == behaviour.estimate.value == 0


def fall_of(findings: Findings, behaviour: Finding, supports: bool | None) -> Evidence:
    """Return the fall of a model's toxicity as evidence."""
    words = change_in_words(findings, behaviour)
    words += ": there was nothing to lose" if _had_none(findings, behaviour) else ""
    text = f"{behaviour.label}: {behaviour.number.metric} {words}."
    return of_drop(findings, behaviour, text, supports)


def _adds_offset(finding: Finding, behaviour: Finding) -> bool:
    """Whether a finding is the share of this toxicity that the whole mean offset recovers."""
    about = finding.about
    is_whole = finding.number.axes.get("dose") == 1.0
    is_in_base = about.intervention == OFFSET and about.changed != "aligned"
    return (
        is_whole
        and is_in_base
        and finding.number.metric == (f"recovered_{behaviour.number.metric}")
    )


def is_beyond_random(finding: Finding) -> bool | None:
    """Whether a share is above 0 and the band of random directions; False up to their middle.

    A few random directions make a wide band: to lie inside it refutes nothing.
    """
    ends = [end for end in (finding.number.null_low, finding.number.null_high) if end is not None]
    middle = sum(map(float, ends)) / len(ends) if len(ends) == 2 else 0.0
    if above(finding.estimate, max(0.0, middle)) is False:
        return False
    return above(finding.estimate, max(0.0, finding.null_high or 0.0)) or None


def is_beyond_null(finding: Finding) -> bool | None:
    """Whether a number is above 0 and its null band; False below the noise floor."""
    if finding.number.below_floor:
        return False
    return above(finding.estimate, max(0.0, finding.null_high or 0.0))
