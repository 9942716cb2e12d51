"""Whether more than half of what alignment does at the first turn is left at the last one.

Yes: of the offset, and of the share of its toxicity that the base loses, where measured, by
intervals. No: of neither. The slope per turn stands beside.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.answering.answer import Evidence, StudyAnswer
from analysis.answering.evidence import (
    BEHAVIOUR,
    HALF,
    above,
    behaviour_metric,
    caveats,
    counted,
    drop_in_words,
    lost_share,
    most_remains,
    of_drop,
    of_finding,
    shown,
    verdict,
)
from analysis.answering.findings import Finding, Findings

QUESTION = "Does it persist over the turns of a dialogue?"
ORDER = 3
DRIFT, SLOPE = "turn_drift", "turn_drift_slope"
METRICS = (*BEHAVIOUR, DRIFT, SLOPE)


def answer(findings: Findings) -> StudyAnswer:
    """Return what later turns show; see the rule above."""
    turns = [each for each in findings.aligned if each.turn]
    drifts = _last([each for each in turns if each.number.metric == DRIFT])
    slopes = _last([each for each in turns if each.number.metric == SLOPE])
    metric = behaviour_metric(findings)
    said = [each for each in turns if each.number.metric == metric]
    deciding = [_drift(each) for each in drifts]
    deciding += [_behaviour(findings, each, said) for each in _last(said)]
    votes = [each.supports for each in deciding]
    return StudyAnswer(
        name="over_dialogue_turns",
        question=QUESTION,
        verdict=verdict(votes),
        summary=_summary(votes),
        evidence=(*deciding, *(_slope(each) for each in slopes)),
        caveats=caveats(findings, used=[*drifts, *_last(said)], metrics=METRICS),
    )


def _summary(votes: list[bool | None]) -> str:
    if not votes:
        return "No aligned model was measured at turns of dialogues after the first."
    return f"At the last turn more than half of turn 1 is left: {counted(votes, 'numbers')}."


def _last(found: Sequence[Finding]) -> list[Finding]:
    """Of every aligned model and set of prompts, the last turn after the first that was measured.

    One below the noise floor was: what stood there before it must not speak for it.
    """
    last: dict[tuple[object, ...], Finding] = {}
    for each in found:
        if each.turn > 1 and (each.value is not None or each.below_floor):
            place = (each.model, each.aligned, each.about.prompts)
            last[place] = max(last.get(place, each), each, key=lambda one: one.turn)
    return list(last.values())


def _who(finding: Finding) -> str:
    return f"{finding.model}, {finding.about.objective}, turn {finding.turn}"


def _drift(finding: Finding) -> Evidence:
    text = f"{_who(finding)}: projection on the offset of turn 1 is {shown(finding)}."
    return of_finding(finding, text, above(finding.low, finding.high, HALF))


def _slope(finding: Finding) -> Evidence:
    return of_finding(finding, f"{_who(finding)}: change per turn is {shown(finding)}.", None)


def _behaviour(findings: Findings, last: Finding, said: Sequence[Finding]) -> Evidence:
    first = next((each for each in said if each.turn == 1 and _same(each, last)), None)
    whole = None if first is None else lost_share(findings, first)
    beside = "" if first is None else f", at turn 1 by {drop_in_words(findings, first)}"
    text = f"{_who(last)}: {last.number.metric} fell by {drop_in_words(findings, last)}{beside}."
    return of_drop(findings, last, text, most_remains(lost_share(findings, last), whole))


def _same(first: Finding, second: Finding) -> bool:
    same = first.number.definition == second.number.definition
    same = same and first.about.prompts == second.about.prompts
    return same and bool(first.aligned & second.aligned)
