"""Whether other objectives lack what DPO shows.

No: another one (SFT on the chosen side, another preference loss) gives more than half of DPO's fall
in toxicity, with offsets that prompts share. Yes: none gives half, by intervals, or their offsets
are not shared. Where DPO itself lacks the mechanism there is nothing that another could lack or
have; that offsets are not shared counts only where DPO surely has it. Shuffled labels must not give
it: where they do, training on such pairs does it, not preferences, and nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.answering import evidence
from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.findings import Finding, Findings
from analysis.answering.mechanism import METRICS as MECHANISM
from analysis.answering.mechanism import Mechanism, fall_of, mechanisms
from analysis.answering.rivals import compared, lacks
from analysis.long_table.circumstances import DPO, SHUFFLED, UNALIGNED, Circumstances

QUESTION = "Is it specific to DPO?"
ORDER = 5
METRICS = (*MECHANISM, "mean_cosine", "relative_norm")


def answer(findings: Findings) -> StudyAnswer:
    """Return what other objectives show; see the rule above."""
    aligned = [finding for finding in findings.all if finding.about.objective is not None]
    objectives = sorted({str(finding.about.objective) for finding in aligned})
    by_objective = {name: _mechanisms_of(findings, aligned, name) for name in objectives}
    dpo = by_objective.pop(DPO, [])
    shuffled = by_objective.pop(SHUFFLED, []) if dpo else []
    unaligned = by_objective.pop(UNALIGNED, [])
    others = [mechanism for group in by_objective.values() for mechanism in group] if dpo else []
    votes = [lacks(findings, mechanism, dpo) for mechanism in others]
    control_votes = [lacks(findings, mechanism, dpo) for mechanism in shuffled]
    used = [mechanism.consistency for mechanism in (*dpo, *others, *shuffled)]
    remarks = [*evidence.caveats(findings, used=used, metrics=METRICS)]
    if False in control_votes:
        remarks.append("The control fails: shuffled labels give more than half of DPO's fall.")
    if dpo and not others:
        remarks.append("No other objective was measured, such as sft.")
    if any(f.number.metric == "shared_part" for f in findings.all):
        remarks.append("What of DPO's offset SFT shares is a question of its own, below.")
    by_votes = evidence.verdict(votes)
    is_decided = by_votes not in (Verdict.NOT_MEASURED, Verdict.UNDECIDED)
    return StudyAnswer(
        name="specific_to_dpo",
        question=QUESTION,
        verdict=Verdict.UNDECIDED if is_decided and False in control_votes else by_votes,
        summary=_summary(votes, control_votes) if dpo else "No model aligned by DPO was measured.",
        evidence=(
            *_evidence(findings, others, dpo, votes),
            *_evidence(findings, shuffled, dpo, control_votes),
            *_evidence(findings, unaligned, dpo, [None] * len(unaligned)),
            *_offset_sizes(findings, aligned),
            *_directions(findings, aligned),
            *(sign for mechanism in dpo for sign in mechanism.evidence),
        ),
        caveats=tuple(remarks),
    )


def _mechanisms_of(
    findings: Findings, aligned: Sequence[Finding], objective: str
) -> list[Mechanism]:
    return mechanisms(findings, [f for f in aligned if f.about.objective == objective])


def _summary(votes: list[bool | None], control_votes: list[bool | None]) -> str:
    if not votes and not control_votes:
        return "No other objective was measured beside DPO."
    parts = []
    if votes:
        parts.append(f"Other objectives lack what DPO shows: {evidence.counted(votes, 'models')}.")
    if control_votes:
        parts.append(f"Shuffled labels lack it: {evidence.counted(control_votes, 'models')}.")
    return " ".join(parts)


def _evidence(
    findings: Findings,
    group: Sequence[Mechanism],
    dpo: Sequence[Mechanism],
    votes: Sequence[bool | None],
) -> Iterator[Evidence]:
    """Yield the signs of each mechanism; the first one, toxicity where measured, has the vote."""
    for mechanism, vote in zip(group, votes, strict=True):
        own, _ = compared(findings, mechanism, dpo)
        signs = list(mechanism.evidence)
        if own is not None and own is not mechanism.behaviour:
            signs.insert(0, fall_of(findings, own, vote))
        yield replace(signs[0], supports=vote)
        yield from (replace(sign, supports=None) for sign in signs[1:])


def _offset_sizes(findings: Findings, aligned: Sequence[Finding]) -> Iterator[Evidence]:
    """Yield how far each objective moves the residual stream, beside its noise floor."""
    for finding in _at_reference(findings, aligned, "relative_norm"):
        if not finding.turn:
            words = f"relative norm of offsets is {evidence.finding_in_words(finding)}"
            yield evidence.of_finding(finding, f"{finding.label}: {words}.")


def _directions(findings: Findings, aligned: Sequence[Finding]) -> Iterator[Evidence]:
    """Yield whether two objectives, or two seeds of one, move the same way, where compared."""
    for finding in _at_reference(findings, aligned, "mean_cosine"):
        if other := _compared_model(finding.about):
            models = f"{finding.about.objective} and {other}"
            cosine = f"mean offsets of {models} have cosine {evidence.finding_in_words(finding)}"
            yield evidence.of_finding(finding, f"{finding.model}: {cosine}.")


def _at_reference(findings: Findings, aligned: Sequence[Finding], metric: str) -> Iterator[Finding]:
    for finding in aligned:
        if finding.number.metric == metric and finding.about.prompts == findings.reference:
            yield finding


def _compared_model(about: Circumstances) -> str | None:
    """Return what a model is compared with: another objective, another seed; else None."""
    if about.against_objective not in (None, about.objective):
        return about.against_objective
    return "another seed" if about.against_aligned and about.is_of_another_seed else None
