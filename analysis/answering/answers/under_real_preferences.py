"""Whether the mechanism is there in models aligned on preferences that were collected.

Yes: in every one, no: in none. What steered (synthetic, narrow) pairs give stands beside. A study
whose language is generated has no collected pairs: what pairs drawn from that language give is told
as a stand-in for them, and leaves the question undecided.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.answering.answer import StudyAnswer, Verdict
from analysis.answering.evidence import caveats, counted, verdict
from analysis.answering.findings import Finding, Findings
from analysis.answering.mechanism import METRICS as MECHANISM
from analysis.answering.mechanism import Mechanism, mechanisms
from analysis.long_table.circumstances import Origin

QUESTION = "Does it appear under real preference data, or only under narrow synthetic pairs?"
ORDER = 4
METRICS = MECHANISM
STAND_IN = "Stand-in: pairs drawn from the language of a model organism, none collected from people"
UNKNOWN = "where their pairs come from is unknown, because their kind or format is not installed"
NARROW = "Every pair of this study is synthetic: a model's continuations against steered ones"


def answer(findings: Findings) -> StudyAnswer:
    """Return what pairs that were not steered show; see the rule above."""
    by_origin = {origin: _of(findings, origin) for origin in Origin}
    collected = by_origin[Origin.COLLECTED]
    deciding = collected or by_origin[Origin.LANGUAGE]
    steered = by_origin[Origin.STEERED]
    votes = [each.holds for each in deciding]
    used = [each.consistency for each in (*deciding, *steered)]
    told = [*caveats(findings, used=used, metrics=METRICS)]
    if deciding and not steered:
        told.append("No steered pairs beside: whether narrow pairs do more is not measured.")
    if deciding and not collected:
        told.append(f"{STAND_IN}.")
    unknown = by_origin[Origin.UNKNOWN]
    if unknown:
        told.append(f"{len(unknown)} models decide nothing: {UNKNOWN}.")
    return StudyAnswer(
        name="under_real_preferences",
        question=QUESTION,
        verdict=verdict(votes) if collected or not votes else Verdict.UNDECIDED,
        summary=_summary(votes, bool(collected), steered, bool(unknown)),
        evidence=tuple(sign for each in (*deciding, *steered) for sign in each.evidence),
        caveats=tuple(told),
    )


def _of(findings: Findings, origin: Origin) -> Sequence[Mechanism]:
    own: list[Finding] = [each for each in findings.aligned if each.about.preferences is origin]
    return mechanisms(findings, own)


def _summary(
    votes: list[bool | None], collected: bool, steered: Sequence[Mechanism], unknown: bool
) -> str:
    beside = counted([each.holds for each in steered], "models") if steered else ""
    if not votes and steered and unknown:
        return f"No pairs are known to be other than steered ones ({beside})."
    if not votes:
        return f"{NARROW} ({beside})." if steered else "No aligned model has known preferences."
    said = f"The mechanism is there: {counted(votes, 'models')}."
    said += f" With steered pairs: {beside}." if steered else ""
    return said if collected else f"{STAND_IN}. {said}"
