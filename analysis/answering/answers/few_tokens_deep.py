"""Whether what alignment changes lies in the first few tokens of an answer.

Yes: half of KL(aligned||base) along the rejected answer (or the prompts' own, where no rejected one
was measured) is gone within five tokens, by the whole interval of its half-depth; no: it lies
beyond, by the interval, or by the bound where it never falls to half. Each aligned model votes. The
half-depth of δ, and toxicity after a reply that was begun, stand beside and do not vote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.answering import evidence
from analysis.answering.answer import Evidence, StudyAnswer
from analysis.answering.findings import Finding, Findings, is_before
from analysis.estimates.over_answer.half_depth import bound_in
from analysis.long_table.circumstances import CONTROLS, DPO

QUESTION = "Is alignment a few tokens deep?"
ORDER = 8
FEW = 5
"""Tokens that are few: Qi et al. 2025 protect the first five."""
KL, OFFSET = "half_depth_token_kl", "half_depth_relative_norm"
METRICS = (KL, OFFSET, *evidence.BEHAVIOUR)


def answer(findings: Findings) -> StudyAnswer:
    """Return what the depths say; see the rule above."""
    depths = _of_aligned(findings, KL)
    votes = [_is_shallow(finding) for finding in depths]
    offsets = _of_aligned(findings, OFFSET)
    begun = list(_begun(findings))
    remarks = evidence.caveats(findings, used=[*depths, *offsets], metrics=METRICS)
    return StudyAnswer(
        name="few_tokens_deep",
        question=QUESTION,
        verdict=evidence.verdict(votes),
        summary=_summary(depths, votes),
        evidence=(
            *(
                evidence.of_finding(f, f"{f.label}: half of KL is gone {_depth(f)}.", vote)
                for f, vote in zip(depths, votes, strict=True)
            ),
            *(
                evidence.of_finding(f, f"{f.label}: half of δ is gone {_depth(f)}.")
                for f in offsets
            ),
            *begun,
        ),
        caveats=(*remarks, *_remarks_on_answers(depths)) if depths else remarks,
    )


def _of_aligned(findings: Findings, metric: str) -> list[Finding]:
    """Return a metric of the models aligned by preferences, along rejected answers where it is."""
    along = [f for f in findings.along_answers if f.number.metric == metric]
    rejected = [f for f in along if f.about.answer == "rejected" and f.aligned]
    chosen = rejected or [f for f in findings.all if f.number.metric == metric]
    names = {f.about.objective for f in chosen if f.about.objective} - set(CONTROLS)
    wanted = {DPO} if DPO in names else names
    return [f for f in chosen if f.about.objective in wanted and f.about.prefill == 0]


def _is_shallow(finding: Finding) -> bool | None:
    """Return whether half is gone within FEW tokens; None where the interval does not say."""
    if finding.estimate is not None:
        deeper = evidence.above(finding.estimate, FEW)
        return None if deeper is None else not deeper
    bound = bound_in(str(finding.number.reason))
    return False if bound is not None and bound >= FEW else None


def _depth(finding: Finding) -> str:
    if finding.estimate is not None:
        return f"after {evidence.finding_in_words(finding)} tokens"
    return f"at no token that answers reach ({finding.number.reason})"


def _begun(findings: Findings) -> Iterator[Evidence]:
    """Yield how much toxicity alignment takes away after each begun reply, beside none begun."""
    aligned = [f for f in findings.along_answers if f.about.answer == "rejected" and f.aligned]
    for finding in sorted(
        (f for f in aligned if f.number.metric in evidence.BEHAVIOUR),
        key=lambda f: (f.label, f.number.metric, f.about.prefill),
    ):
        before = next((b for b in findings.along_answers if _is_base_of(b, finding)), None)
        fall = None if before is None else evidence.difference(before, finding)
        of_base = "" if before is None else f", of the base {evidence.finding_in_words(before)}"
        lost = "" if fall is None else f": alignment takes away {evidence.in_words(fall)}"
        yield evidence.of_finding(
            finding,
            f"{finding.label}, {finding.about.prefill} tokens of the rejected answer given: "
            f"{finding.number.metric} is {evidence.finding_in_words(finding)}{of_base}{lost}.",
        )


def _is_base_of(before: Finding, after: Finding) -> bool:
    names = ("metric", "definition", "position")
    same = all(getattr(before.number, n) == getattr(after.number, n) for n in names)
    about, other = before.about, after.about
    return (
        same
        and is_before(before, after)
        and (about.prompts, about.prefill) == (other.prompts, other.prefill)
    )


def _summary(depths: Sequence[Finding], votes: Sequence[bool | None]) -> str:
    if not depths:
        return "No half-depth of KL along answers was measured."
    by_size = sorted(depths, key=lambda f: (f.number.num_parameters or 0, f.label))
    ends = dict.fromkeys((by_size[0], by_size[-1]))
    sizes = "; ".join(f"{f.label}: {_depth(f)}" for f in ends)
    votes_in_words = evidence.counted(votes, "aligned models")
    return f"Half of KL lies within {FEW} tokens: {votes_in_words}. {sizes}."


def _remarks_on_answers(depths: Sequence[Finding]) -> Iterator[str]:
    if any(finding.about.answer != "rejected" for finding in depths):
        yield "KL is along the prompts' own answers, not along rejected ones."
    if any(finding.estimate is None for finding in depths):
        yield "Where answers are short, a half-depth beyond their end cannot be seen."
