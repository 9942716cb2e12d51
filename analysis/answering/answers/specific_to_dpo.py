"""Whether other objectives lack what DPO shows.

No: another one (SFT on the chosen side, another preference loss) gives more than half of DPO's fall
in toxicity, with offsets that prompts share. Yes: none gives half, by intervals, or their offsets
are not shared. Shuffled labels must not give it: where they do, training on such pairs does it, not
preferences, and nothing is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.evidence import (
    caveats,
    counted,
    drop,
    most_remains,
    of_finding,
    shown,
    verdict,
)
from analysis.answering.findings import Finding, Findings
from analysis.answering.mechanism import METRICS as MECHANISM
from analysis.answering.mechanism import Mechanism, is_beyond_null, mechanisms
from analysis.long_table.circumstances import DPO, SHUFFLED, UNALIGNED

QUESTION = "Is it specific to DPO?"
ORDER = 5
METRICS = (*MECHANISM, "mean_cosine", "relative_norm")


def answer(findings: Findings) -> StudyAnswer:
    """Return what other objectives show; see the rule above."""
    known = [each for each in findings.found if each.about.objective is not None]
    by_name = {name: _of(findings, known, name) for name in _names(known)}
    with_dpo = by_name.pop(DPO, [])
    shuffled = by_name.pop(SHUFFLED, [])
    unaligned = by_name.pop(UNALIGNED, [])
    others = [each for own in by_name.values() for each in own] if with_dpo else []
    votes = [_differs(findings, each, with_dpo) for each in others]
    null = [_differs(findings, each, with_dpo) for each in shuffled]
    used = [each.consistency for each in (*with_dpo, *others, *shuffled)]
    told = [*caveats(findings, used=used, metrics=METRICS)]
    if False in null:
        told.append("The control fails: shuffled labels give more than half of DPO's fall.")
    if with_dpo and not others:
        told.append("No other objective was measured, such as sft.")
    found = verdict(votes)
    decided = found not in (Verdict.NOT_MEASURED, Verdict.UNDECIDED)
    return StudyAnswer(
        name="specific_to_dpo",
        question=QUESTION,
        verdict=Verdict.UNDECIDED if decided and False in null else found,
        summary=_summary(votes, null),
        evidence=(
            *_evidence(others, votes),
            *_evidence(shuffled, null),
            *_evidence(unaligned, [None] * len(unaligned)),
            *_sizes(findings, known),
            *_directions(findings, known),
            *(sign for each in with_dpo for sign in each.evidence),
        ),
        caveats=tuple(told),
    )


def _names(known: Sequence[Finding]) -> list[str]:
    return sorted({str(each.about.objective) for each in known})


def _of(findings: Findings, known: Sequence[Finding], objective: str) -> list[Mechanism]:
    return mechanisms(findings, [each for each in known if each.about.objective == objective])


def _differs(findings: Findings, other: Mechanism, with_dpo: Sequence[Mechanism]) -> bool | None:
    """Return whether an objective lacks what DPO shows on the same base."""
    shared = is_beyond_null(other.consistency)
    if shared is False:
        return True
    dpo = _beside(other.consistency, with_dpo)
    if dpo is None or dpo.behaviour is None or other.behaviour is None:
        return None
    gives = most_remains(drop(findings, other.behaviour), drop(findings, dpo.behaviour))
    if gives is False:
        return True
    return False if gives and shared else None


def _beside(other: Finding, with_dpo: Sequence[Mechanism]) -> Mechanism | None:
    """DPO on the same base and kind of preferences, in the cell that differs least."""
    about = other.about
    same = [
        each
        for each in with_dpo
        if each.consistency.about.base == about.base
        and each.consistency.about.preferences == about.preferences
    ]
    return max(
        same,
        key=lambda each: len(each.consistency.cell.items() & other.cell.items()),
        default=None,
    )


def _summary(votes: list[bool | None], null: list[bool | None]) -> str:
    if not votes and not null:
        return "No other objective was measured beside DPO."
    parts = []
    if votes:
        parts.append(f"Other objectives lack what DPO shows: {counted(votes, 'models')}.")
    if null:
        parts.append(f"Shuffled labels lack it: {counted(null, 'models')}.")
    return " ".join(parts)


def _evidence(found: Sequence[Mechanism], votes: Sequence[bool | None]) -> list[Evidence]:
    """Return the toxicity of each, with the vote, then how alike its offsets are."""
    evidence = []
    for each, vote in zip(found, votes, strict=True):
        for sign in each.evidence:
            decides = sign is each.evidence[0]
            evidence.append(
                replace(sign, supports=vote if decides else None),
            )
    return evidence


def _sizes(findings: Findings, known: Sequence[Finding]) -> list[Evidence]:
    """Return how far each objective moves the residual stream, beside its noise floor."""
    return [
        of_finding(
            each,
            f"{each.model}, {each.about.objective}: relative norm of offsets is {shown(each)}.",
            None,
        )
        for each in known
        if each.number.metric == "relative_norm"
        and not each.turn
        and each.about.prompts == findings.reference
    ]


def _directions(findings: Findings, known: Sequence[Finding]) -> list[Evidence]:
    """Whether two objectives, or two seeds of one, move the same way, where that was compared."""
    return [
        of_finding(
            each,
            f"{each.model}: mean offsets of {each.about.objective} and "
            f"{_other(each)} have cosine {shown(each)}.",
            None,
        )
        for each in known
        if each.number.metric == "mean_cosine"
        and each.about.prompts == findings.reference
        and _other(each)
    ]


def _other(finding: Finding) -> str | None:
    """What a model's offsets are compared with: another objective, another seed; else None."""
    about = finding.about
    if about.against_objective not in (None, about.objective):
        return about.against_objective
    return "another seed" if about.against_aligned and about.is_of_another_seed else None
