"""Whether the rows moved at all.

Yes: every interval of the norm of δ lies above its noise floor. This docstring is the rule of the
verdict, and stands in reports. The contract is analysis/answering/answer.py.
"""

from __future__ import annotations

from analysis.answering import evidence
from analysis.answering.answer import StudyAnswer
from analysis.answering.findings import Findings

QUESTION = "Did the rows move at all?"
ORDER = 20
METRICS = ("offset_norm",)


def answer(findings: Findings) -> StudyAnswer:
    """Return what these findings say. Never raises on the data."""
    moved = [finding for finding in findings.aligned if finding.number.metric in METRICS]
    pieces = [
        evidence.of_finding(
            finding,
            f"{finding.label}: norm of δ is {evidence.finding_in_words(finding)}.",
            None if finding.estimate is None else not finding.number.below_floor,
        )
        for finding in moved
    ]
    votes = [piece.supports for piece in pieces]
    return StudyAnswer(
        name="my_entry",
        question=QUESTION,
        verdict=evidence.verdict(votes),
        summary=f"Above the noise floor: {evidence.counted(votes, 'numbers')}."
        if votes
        else "No norm of δ was measured.",
        evidence=tuple(pieces),
        caveats=evidence.caveats(findings, used=moved, metrics=METRICS),
    )
