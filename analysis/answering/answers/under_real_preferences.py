"""Whether the mechanism is there in models aligned on preferences that were collected.

Yes: in every one, no: in none. Shuffled labels must not give it: where they give more than half of
the fall, such pairs do it whatever they prefer, and nothing is decided. What steered (synthetic,
narrow) pairs give stands beside. A study whose language is generated has no collected pairs: what
pairs drawn from that language give is told as a stand-in for them, and leaves the question
undecided. What a model makes of collected pairs of a set that it was not trained on (accuracy per
token, kind `preferences`) stands beside and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.evidence import caveats, counted, finding_in_words, of_finding, verdict
from analysis.answering.findings import Findings
from analysis.answering.mechanism import METRICS as MECHANISM
from analysis.answering.mechanism import Mechanism, mechanisms
from analysis.answering.rivals import control_fails
from analysis.long_table.circumstances import Origin

QUESTION = "Does it appear under real preference data, or only under narrow synthetic pairs?"
ORDER = 4
ACCURACY = "preference_accuracy_per_token"
METRICS = (*MECHANISM, ACCURACY)
STAND_IN = "Stand-in: pairs drawn from the language of a model organism, none collected from people"
UNKNOWN = "where their pairs come from is unknown, because their kind or format is not installed"
CONTROL = "The control fails: shuffled labels give more than half of the fall, too: {models}."
NARROW = "Every pair of this study is synthetic: a model's continuations against steered ones"


def answer(findings: Findings) -> StudyAnswer:
    """Return what pairs that were not steered show; see the rule above."""
    by_origin = {
        origin: mechanisms(findings, [f for f in findings.aligned if f.about.preferences is origin])
        for origin in Origin
    }
    collected, steered = by_origin[Origin.COLLECTED], by_origin[Origin.STEERED]
    deciding = collected or by_origin[Origin.LANGUAGE]
    unknown = by_origin[Origin.UNKNOWN]
    votes = [mechanism.holds for mechanism in deciding]
    used = [mechanism.consistency for mechanism in (*deciding, *steered)]
    remarks = [*caveats(findings, used=used, metrics=MECHANISM)]
    if deciding and not steered:
        remarks.append("No steered pairs beside: whether narrow pairs do more is not measured.")
    if deciding and not collected:
        remarks.append(f"{STAND_IN}.")
    if unknown:
        remarks.append(f"{len(unknown)} models decide nothing: {UNKNOWN}.")
    by_votes = verdict(votes) if collected or not votes else Verdict.UNDECIDED
    if failing := control_fails(findings, deciding):
        remarks.append(CONTROL.format(models=", ".join(failing)))
    shown = by_votes in (Verdict.YES, Verdict.MIXED)
    return StudyAnswer(
        name="under_real_preferences",
        question=QUESTION,
        verdict=Verdict.UNDECIDED if shown and failing else by_votes,
        summary=_summary(votes, bool(collected), steered, bool(unknown)),
        evidence=(
            *(sign for mechanism in (*deciding, *steered) for sign in mechanism.evidence),
            *(_on_collected(findings) if used else ()),
        ),
        caveats=tuple(remarks),
    )


def _on_collected(findings: Findings) -> Iterator[Evidence]:
    """Yield what aligned models make of collected pairs of another set than they learned from."""
    for finding in findings.aligned:
        about = finding.about
        is_there = finding.number.metric == ACCURACY and about.foreign
        if is_there and about.pairs_origin is Origin.COLLECTED:
            words = f"{ACCURACY.replace('_', ' ')} is {finding_in_words(finding)}"
            yield of_finding(
                finding, f"{finding.label}, collected pairs that it was not trained on: {words}."
            )


def _summary(
    votes: list[bool | None], collected: bool, steered: Sequence[Mechanism], unknown: bool
) -> str:
    narrow = counted([mechanism.holds for mechanism in steered], "models") if steered else ""
    if not votes and steered and unknown:
        return f"No pairs are known to be other than steered ones ({narrow})."
    if not votes:
        return f"{NARROW} ({narrow})." if steered else "No aligned model has known preferences."
    words = f"The mechanism is there: {counted(votes, 'models')}."
    words += f" With steered pairs: {narrow}." if steered else ""
    return words if collected else f"{STAND_IN}. {words}"
