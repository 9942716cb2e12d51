"""Whether more than half of what alignment does at the first turn is left at the last one.

Yes: of the offset, and of the share of its toxicity that the base loses, where measured, by
intervals. No: of neither. The slope per turn stands beside. Toxicity is, for each model and set of
dialogues, the first of the toxic mass and rate that base and aligned model have at both turns.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.answering import evidence
from analysis.answering.answer import Evidence, StudyAnswer
from analysis.answering.findings import Finding, Findings

QUESTION = "Does it persist over the turns of a dialogue?"
ORDER = 3
DRIFT, SLOPE = "turn_drift", "turn_drift_slope"
METRICS = (*evidence.BEHAVIOUR, DRIFT, SLOPE)


def answer(findings: Findings) -> StudyAnswer:
    """Return what later turns show; see the rule above."""
    at_turns = [finding for finding in findings.aligned if finding.turn]
    drifts, slopes = (
        _at_last_turn([finding for finding in at_turns if finding.number.metric == metric])
        for metric in (DRIFT, SLOPE)
    )
    behaviours = _behaviours(findings, at_turns)
    last_behaviours = _at_last_turn(behaviours)
    deciding = [_drift(finding) for finding in drifts]
    deciding += [_behaviour(findings, finding, behaviours) for finding in last_behaviours]
    votes = [piece.supports for piece in deciding]
    return StudyAnswer(
        name="over_dialogue_turns",
        question=QUESTION,
        verdict=evidence.verdict(votes),
        summary=_summary(votes),
        evidence=(*deciding, *map(_slope, slopes)),
        caveats=(
            *evidence.caveats(findings, used=[*drifts, *last_behaviours], metrics=METRICS),
            *_remarks_on_dialogues(last_behaviours, behaviours),
        ),
    )


def _remarks_on_dialogues(lasts: Sequence[Finding], among: Sequence[Finding]) -> list[str]:
    """Return where toxicity at the last turn is of fewer dialogues than that at the first one."""
    told: dict[str, None] = {}
    for last in lasts:
        first = _first_turn(last, among)
        whole, left = (0 if f is None else f.number.num_rows or 0 for f in (first, last))
        if 0 < left < whole:
            told[
                f"{last.model}: {left} of {whole} dialogues reach turn {last.turn}; toxicity at "
                "turn 1 is of all, so that what longer dialogues differ by is in the comparison."
            ] = None
    return list(told)


def _behaviours(findings: Findings, at_turns: Sequence[Finding]) -> list[Finding]:
    """Return the toxicity of each aligned model over each set of dialogues, by one metric each."""

    def is_compared(finding: Finding) -> bool:
        first = _first_turn(finding, at_turns)
        ends = [None if f is None else evidence.drop(findings, f) for f in (finding, first)]
        return finding.turn > 1 and None not in ends

    dialogues = evidence.by_cell(at_turns)
    chosen = [evidence.by_metric(findings, turns, is_compared=is_compared) for turns in dialogues]
    return [finding for groups in chosen if groups for finding in groups[0]]


def _first_turn(last: Finding, among: Sequence[Finding]) -> Finding | None:
    """Return the same number at the first turn."""
    same = (f for f in among if f.number.metric == last.number.metric and f.turn == 1)
    return next((f for f in same if _is_same_dialogue(f, last)), None)


def _summary(votes: list[bool | None]) -> str:
    if not votes:
        return "No aligned model was measured at turns of dialogues after the first."
    return (
        f"At the last turn more than half of turn 1 is left: {evidence.counted(votes, 'numbers')}."
    )


def _at_last_turn(findings: Sequence[Finding]) -> list[Finding]:
    """Return the last measured turn after the first, of every aligned model and set of prompts.

    A turn below the noise floor counts as measured, so an earlier turn does not stand in for it.
    """
    last: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        if finding.turn > 1 and (finding.estimate is not None or finding.number.below_floor):
            dialogue = (finding.model, finding.aligned, finding.about.prompts)
            latest = last.setdefault(dialogue, finding)
            if finding.turn > latest.turn:
                last[dialogue] = finding
    return list(last.values())


def _drift(finding: Finding) -> Evidence:
    words = f"projection on the offset of turn 1 is {evidence.finding_in_words(finding)}"
    return evidence.of_finding(
        finding, f"{_cell(finding)}: {words}.", evidence.above(finding.estimate, evidence.HALF)
    )


def _slope(finding: Finding) -> Evidence:
    return evidence.of_finding(
        finding, f"{_cell(finding)}: change per turn is {evidence.finding_in_words(finding)}."
    )


def _behaviour(findings: Findings, last: Finding, behaviours: Sequence[Finding]) -> Evidence:
    first = _first_turn(last, behaviours)
    whole = None if first is None else evidence.lost_share(findings, first)
    at_first = (
        "" if first is None else f", at turn 1 it {evidence.change_in_words(findings, first)}"
    )
    change = evidence.change_in_words(findings, last)
    text = f"{_cell(last)}: {last.number.metric} {change}{at_first}."
    return evidence.of_drop(
        findings, last, text, evidence.most_remains(evidence.lost_share(findings, last), whole)
    )


def _cell(finding: Finding) -> str:
    return f"{finding.label}, turn {finding.turn}"


def _is_same_dialogue(first: Finding, second: Finding) -> bool:
    same_definition = first.number.definition == second.number.definition
    same_prompts = first.about.prompts == second.about.prompts
    return same_definition and same_prompts and bool(first.aligned & second.aligned)
