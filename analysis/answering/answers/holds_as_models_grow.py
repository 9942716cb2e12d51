"""Whether the mechanism is there at every size, and does not weaken with it.

Yes: both; in a family of four sizes or more the fitted consistency keeps more than half of itself
from the smallest size to the largest, by the interval of its exponent. Mixed: there at some sizes
only, or at all but weakening (exponent below 0 with its interval, whichever size is left out). No:
at none of several. Else undecided: an exponent that may be anything shows nothing, without four
sizes in a family there is none, and one size alone says nothing of growth. The exponent is over
counted parameters; a caveat says so where one over another count of size disagrees. Where not every
size of a family was trained in every way, the exponent is over the ways that all have, and decides
nothing where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.answering import evidence
from analysis.answering.alike_sizes import AlikeSizes, at_every_size, size_of
from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.findings import Finding, Findings
from analysis.answering.mechanism import METRICS as MECHANISM
from analysis.answering.mechanism import OFFSET, Mechanism, is_beyond_null, mechanisms
from analysis.answering.rivals import control_fails
from analysis.long_table.circumstances import SHUFFLED
from analysis.measurement import Row
from analysis.status import Status
from analysis.tables.exponent_agreement import disagreement
from analysis.tables.power_laws import MIXED, SIZES, PowerLaw, fit_families

QUESTION = "Does the offset mechanism hold as models grow?"
ORDER = 1
METRICS = (*MECHANISM, "mean_cosine")
_RECOVERED = tuple(f"recovered_{metric}" for metric in evidence.BEHAVIOUR)


def answer(findings: Findings) -> StudyAnswer:
    """Return what the ladder says; see the rule above."""
    ladder = mechanisms(findings, findings.aligned)
    holds = [mechanism.holds for mechanism in ladder]
    consistencies = [mechanism.consistency for mechanism in ladder]
    is_one_size = len(set(map(size_of, consistencies))) == 1
    alike = at_every_size(consistencies)
    rows = [finding.number.as_row() for finding in alike.findings]
    laws = [law for law in fit_families(rows) if law.family != MIXED]
    trends = {law.family: _does_not_weaken(law, alike) for law in laws if law.exponent is not None}
    used = [*consistencies, *(m.behaviour for m in ladder if m.behaviour)]
    remarks = [
        *evidence.caveats(findings, used=used, metrics=METRICS),
        *_remarks_on_control(findings, ladder),
    ]
    if any(law.descriptive for law in laws):
        remarks.append("A fit over 4 or 5 sizes describes these sizes and is no law.")
    remarks += [f"Of {law.family}, {law.caution}." for law in laws if law.caution]
    remarks += alike.remarks
    remarks += _remarks_on_sizes(rows)
    return StudyAnswer(
        name="holds_as_models_grow",
        question=QUESTION,
        verdict=Verdict.UNDECIDED if is_one_size else _verdict(holds, [*trends.values()]),
        summary=_summary_of_one_size(holds) if is_one_size else _summary(holds, laws),
        evidence=(
            *(_trend(law, alike.findings, trends.get(law.family)) for law in laws),
            *(sign for mechanism in ladder for sign in mechanism.evidence),
            *_other_interventions(findings),
            *_other_prompts(findings),
        ),
        caveats=tuple(remarks),
    )


def _remarks_on_sizes(rows: Sequence[Row]) -> list[str]:
    """Return where exponents over parameters and over width disagree, by family."""
    families = zip(*(fit_families(rows, against) for against in SIZES), strict=True)
    apart = ((laws[0].family, disagreement(laws)) for laws in families)
    return [f"Of {family}, {told}." for family, told in apart if told and family != MIXED]


def _remarks_on_control(findings: Findings, ladder: Sequence[Mechanism]) -> list[str]:
    """Return what training on shuffled labels takes from the signs of the mechanism."""
    controls = mechanisms(findings, [f for f in findings.all if f.about.objective == SHUFFLED])
    offsets = [control.consistency for control in controls]
    shared = [f"{f.model} {evidence.finding_in_words(f)}" for f in offsets if is_beyond_null(f)]
    if not shared:
        return []
    failing = control_fails(findings, ladder)
    told = [f"Shuffled labels give more than half of the fall, too: {', '.join(failing)}."]
    return [
        *(told if failing else []),
        "Offsets after training on shuffled labels are shared by prompts too, so sharing by itself "
        f"is no sign of preferences: {'; '.join(shared)}.",
    ]


def _other_interventions(findings: Findings) -> Iterator[Evidence]:
    """Yield what other interventions recover of toxicity, at each dose. They decide nothing."""
    of_models: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings.aligned:
        about = finding.about
        if about.intervention not in (None, OFFSET) and about.prompts == findings.reference:
            edit = (finding.model, finding.aligned, about.intervention)
            of_models.setdefault(edit, []).append(finding)
    for among in of_models.values():
        groups = evidence.by_metric(
            findings, among, _RECOVERED, lambda finding: finding.estimate is not None
        )
        for finding in groups[0] if groups else ():
            dose = f"{finding.about.intervention} at dose {finding.cell['dose']}"
            share = f"recovers {evidence.finding_in_words(finding)} of the way to the other model"
            yield evidence.of_finding(finding, f"{finding.label}: {dose} {share}.")


def _other_prompts(findings: Findings) -> Iterator[Evidence]:
    """Yield mean offsets on other plain prompts, such as unrelated ones: a control, no vote."""
    for finding in findings.aligned:
        about, is_cosine = finding.about, finding.number.metric == "mean_cosine"
        if is_cosine and about.is_plain and about.against_prompts not in (None, about.prompts):
            yield evidence.of_finding(
                finding,
                f"Control, {finding.label}: the mean offset on other prompts and the one on the "
                f"prompts above have cosine {evidence.finding_in_words(finding)}.",
            )


def _does_not_weaken(law: PowerLaw, alike: AlikeSizes) -> bool | None:
    """Decide by the whole interval of the exponent; see the rule above."""
    if law.family in alike.confounded:
        return None
    assert law.exponent is not None and law.leave_one_out_high is not None
    assert law.exponent.low is not None and law.exponent.high is not None
    if law.exponent.high < 0 and law.leave_one_out_high < 0:
        return False
    numbers = [f.number for f in _of_family(law, alike.findings) if f.estimate is not None]
    sizes = [float(n.num_parameters or 0) for n in numbers if (n.value or 0.0) > 0]
    return True if (max(sizes) / min(sizes)) ** law.exponent.low > evidence.HALF else None


def _of_family(law: PowerLaw, consistencies: Sequence[Finding]) -> list[Finding]:
    """Return the consistencies behind a fit within one family."""
    return [finding for finding in consistencies if str(finding.number.family) == law.family]


def _verdict(holds: Sequence[bool | None], trends: Sequence[bool | None]) -> Verdict:
    by_size = evidence.verdict(holds)
    if by_size is not Verdict.YES:
        return by_size
    if not trends or None in trends:
        return Verdict.UNDECIDED
    return Verdict.MIXED if False in trends else Verdict.YES


def _summary(holds: Sequence[bool | None], laws: Sequence[PowerLaw]) -> str:
    if not holds:
        return "No aligned model has offsets on plain prompts."
    trends = "; ".join(_law_in_words(law) for law in laws)
    votes = evidence.counted(holds, "aligned models")
    return f"The mechanism is there: {votes}. Consistency over size: {trends}."


def _summary_of_one_size(holds: Sequence[bool | None]) -> str:
    votes = evidence.counted(holds, "aligned models")
    return (
        "One size was measured, which says nothing of growth. Whether the mechanism is there at "
        f"that size: {votes}."
    )


def _law_in_words(law: PowerLaw) -> str:
    if law.status is not Status.OK:
        why = "too few sizes" if law.status is Status.TOO_FEW_SIZES else "no exponent"
        return f"{law.family} has {why} ({law.reason})"
    least, most = law.leave_one_out_low, law.leave_one_out_high
    return (
        f"{law.family} exponent {evidence.in_words(law.exponent)} over {law.num_sizes} "
        f"sizes ({least:.2g} to {most:.2g} with one left out)"
    )


def _trend(law: PowerLaw, consistencies: Sequence[Finding], vote: bool | None) -> Evidence:
    behind = _of_family(law, consistencies)
    return Evidence(
        text=f"Consistency as a power of counted parameters: {_law_in_words(law)}.",
        metric="consistency",
        cell={"family": law.family},
        estimate=law.exponent,
        keys=tuple(dict.fromkeys(key for finding in behind for key in finding.number.keys)),
        supports=vote,
    )
