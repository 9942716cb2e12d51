"""What of DPO's offsets SFT shares, in energy and in what it does to toxicity.

Two votes for each base. Yes: more than half of what SFT's own subspace can hold of δ's energy about
zero is inside it (`shared_part`), and more than the bands of random subspaces and of the base
covariance, by the interval; and, where both parts of the mean offset were added to the base, the
shared part recovers more of the fall in toxicity than the rest does, by the interval of their
difference (paired over prompt groups where these are shared). No: less than half, and less than the
rest. Mixed where one says yes and the other no, here or between models.

Control: shuffled labels. Where most of their energy, too, is inside SFT's subspace, training on
such pairs moves a model so, not preferences, and nothing is decided.

DPO is read where its toxicity fell as far as SFT's, where snapshots of its training were compared
with SFT: of the models of SFT that it was compared with, at the largest fall that both reached.
Elsewhere a caveat gives both falls; they are matched by chance where they cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.answering import evidence
from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.findings import Finding, Findings, same_base
from analysis.answering.matched_falls import Match, fall_of_compared, matches
from analysis.answering.mechanism import is_beyond_random
from analysis.long_table.circumstances import CONTROLS, DPO, SFT, SHUFFLED

QUESTION = "What of DPO's offset does SFT share?"
ORDER = 9
SHARE = "shared_part"
OUTSIDE, COSINE = "energy_outside_sft", "paired_cosine"
PARTS = ("energy_inside_sft", OUTSIDE, "energy_inside_sft_ceiling", COSINE)
SHARED, REST = "add-shared-part", "add-rest"
TAKEN_OUT = ("project-out-shared-part", "project-out-rest")
METRICS = (SHARE, *PARTS, *evidence.BEHAVIOUR, *(f"recovered_{m}" for m in evidence.BEHAVIOUR))


def answer(findings: Findings) -> StudyAnswer:
    """Return what the parts of DPO's δ are and do; see the rule above."""
    compared = [f for f in findings.all if _is_compared_with_sft(findings, f)]
    about = findings.centred or False  # about zero, unless another centring is asked for
    shares = [f for f in compared if f.number.metric == SHARE and f.number.centred is about]
    dpo = matches(findings, [f for f in shares if f.about.objective not in CONTROLS])
    shuffled = [f for f in shares if f.about.objective == SHUFFLED]
    energy = [_is_most(match.finding) for match in dpo]
    control = [_is_most(finding) for finding in shuffled]
    behaviour = [pair for match in dpo for pair in _behaviours(findings, match)]
    votes = [*energy, *(piece.supports for piece in behaviour)]
    by_votes = evidence.verdict(votes)
    is_decided = by_votes not in (Verdict.NOT_MEASURED, Verdict.UNDECIDED)
    used = [*(match.finding for match in dpo), *shuffled]
    return StudyAnswer(
        name="shared_with_sft",
        question=QUESTION,
        verdict=Verdict.UNDECIDED if is_decided and True in control else by_votes,
        summary=_summary(dpo, energy, behaviour, control),
        evidence=(
            *(_share(m, vote) for m, vote in zip(dpo, energy, strict=True)),
            *behaviour,
            *(evidence.of_finding(f, _words(f)) for f in shares if f.about.objective in CONTROLS),
            *_beside_shuffled(dpo, shuffled),
            *_details([f for f in compared if f not in shares]),
            *_taken_out(findings),
        ),
        caveats=(
            *evidence.caveats(findings, used=used, metrics=METRICS),
            *_remarks(findings, dpo, control),
        ),
    )


def _is_compared_with_sft(findings: Findings, finding: Finding) -> bool:
    """Whether a number of δ compares a model with SFT on the same prompts of the study."""
    about = finding.about
    is_same = about.prompts == about.against_prompts == findings.reference
    is_there = finding.number.metric in (SHARE, *PARTS)
    return is_there and is_same and about.against_objective == SFT


def _is_most(finding: Finding) -> bool | None:
    """Tell whether most is shared: True over half and both bands, False under half, by interval.

    None below the noise floor: of nothing there is no share.
    """
    more = evidence.above(finding.estimate, max(evidence.HALF, finding.null_high or 0.0))
    if more:
        return True
    return False if evidence.above(finding.estimate, evidence.HALF) is False else None


def _behaviours(findings: Findings, match: Match) -> Iterator[Evidence]:
    """Yield by how much more of the fall the shared part recovers than the rest, by one metric.

    Where parts were added to no snapshot, it is read at the end of training.
    """
    at_end = [f for f in findings.all if f.aligned & match.finding.aligned]
    for others, where in ((match.others, ""), (at_end, " (at the end of training)")):
        for metric in evidence.BEHAVIOUR:
            parts = {f.about.intervention: f for f in others if _is_part_added(f, metric)}
            shared, rest = parts.get(SHARED), parts.get(REST)
            if shared is not None and rest is not None:
                yield _recovered(match, shared, rest, where)
                return


def _is_part_added(finding: Finding, metric: str) -> bool:
    """Whether a number is the share of the fall that a whole part recovers in the base."""
    about = finding.about
    is_whole = finding.number.axes.get("dose") == 1.0 and about.changed != "aligned"
    is_share = finding.number.metric == f"recovered_{metric}"
    return is_whole and is_share and about.against_objective == SFT


def _recovered(match: Match, shared: Finding, rest: Finding, where: str) -> Evidence:
    more = evidence.difference(shared, rest)
    vote = evidence.above(more, 0.0)
    if vote and is_beyond_random(shared) is not True:
        vote = None
    text = (
        f"{match.finding.label}{where}: added to the base, the shared part recovers more of the "
        f"fall than the rest by {evidence.in_words(more)}. Shared: "
        f"{evidence.finding_in_words(shared)}. Rest: {evidence.finding_in_words(rest)}."
    )
    keys = (*shared.number.keys, *rest.number.keys)
    return replace(evidence.of_finding(shared, text, vote), estimate=more, keys=keys)


def _share(match: Match, vote: bool | None) -> Evidence:
    return evidence.of_finding(match.finding, f"{_words(match.finding)[:-1]}{match.words}.", vote)


def _words(finding: Finding) -> str:
    share = evidence.finding_in_words(finding)
    return f"{finding.label}: energy of δ in SFT's subspace over what that can hold is {share}."


def _beside_shuffled(dpo: Sequence[Match], shuffled: Sequence[Finding]) -> Iterator[Evidence]:
    """Yield by how much more DPO shares with SFT than shuffled labels do. It decides nothing."""
    for match in dpo:
        for other in shuffled:
            if same_base(other, match.finding):
                more = evidence.difference(match.finding, other)
                text = f"shares more than {other.about.objective} by {evidence.in_words(more)}"
                piece = evidence.of_finding(match.finding, f"{match.finding.label}: {text}.")
                keys = (*match.finding.number.keys, *other.number.keys)
                yield replace(piece, estimate=more, keys=keys)


def _details(compared: Sequence[Finding]) -> Iterator[Evidence]:
    """Yield what else was measured of both parts: about the mean, and prompt by prompt.

    The rest is 1 minus the part and stands in the table. It decides nothing.
    """
    for finding in compared:
        number, is_about_mean = finding.number, finding.number.centred is True
        is_shown = is_about_mean if number.metric in (SHARE, COSINE) else not is_about_mean
        if number.metric != OUTSIDE and is_shown and finding.estimate is not None:
            where = "the mean" if is_about_mean else "zero"
            value = evidence.finding_in_words(finding)
            yield evidence.of_finding(
                finding, f"{finding.label}: {number.metric} about {where} is {value}."
            )


def _taken_out(findings: Findings) -> Iterator[Evidence]:
    """Yield what taking either part out of the aligned model gives back. It decides nothing."""
    for finding in findings.aligned:
        name = str(finding.about.intervention)
        if name in TAKEN_OUT and finding.number.metric == "recovered_toxic_mass":
            share = evidence.finding_in_words(finding)
            dose = f"{name} at dose {finding.cell.get('dose')} gives back"
            yield evidence.of_finding(finding, f"{finding.label}: {dose} {share} of the fall.")


def _summary(
    dpo: Sequence[Match],
    energy: Sequence[bool | None],
    behaviour: Sequence[Evidence],
    control: Sequence[bool | None],
) -> str:
    if not dpo:
        return "No offsets of aligned models were held against SFT's."
    objectives = sorted({str(match.finding.about.objective) for match in dpo})
    whose = "DPO's offsets" if objectives == [DPO] else f"offsets of {', '.join(objectives)}"
    values = [m.finding.estimate.value for m in dpo if m.finding.estimate is not None]
    ends = f" ({min(values):.2f} to {max(values):.2f})" if values else ""
    parts = [
        f"Most of the energy of {whose} is in SFT's subspace{ends}: "
        f"{evidence.counted(list(energy), 'models')}."
    ]
    if behaviour:
        votes = evidence.counted([piece.supports for piece in behaviour], "models")
        parts.append(f"That part recovers more than the rest: {votes}.")
    if control:
        parts.append(f"So it is with shuffled labels: {evidence.counted(list(control), 'models')}.")
    return " ".join(parts)


def _remarks(
    findings: Findings, dpo: Sequence[Match], control: Sequence[bool | None]
) -> Iterator[str]:
    if True in control:
        yield "The control fails: most of what shuffled labels move is in SFT's subspace, too."
    unmatched = [match for match in dpo if not match.is_matched]
    falls = []
    for match in unmatched:
        own, other = fall_of_compared(findings, match.finding)
        falls.append(
            f"{match.finding.label} {evidence.in_words(own)} against {evidence.in_words(other)}"
        )
    if falls:
        yield (
            "Not matched in behaviour; falls of toxicity (below zero: it rose), against SFT's: "
            f"{'; '.join(falls)}."
        )
    if dpo and not any(f.about.intervention == SHARED for f in findings.all):
        yield "No part was added to a model: what each does to behaviour is not known."
