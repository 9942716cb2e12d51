"""Whether the mechanism is there at every size, and does not weaken with it.

Yes: both; in a family of four sizes or more the fitted consistency keeps more than half of itself
from the smallest size to the largest, by the interval of its exponent. Mixed: there at some sizes
only, or at all but weakening (exponent below 0 with its interval, whichever size is left out). No:
at none. Else undecided: an exponent that may be anything shows nothing, and without four sizes in a
family there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.evidence import (
    HALF,
    behaviour_metric,
    caveats,
    counted,
    number,
    of_finding,
    shown,
    verdict,
)
from analysis.answering.findings import Finding, Findings
from analysis.answering.mechanism import METRICS as MECHANISM
from analysis.answering.mechanism import OFFSET, Mechanism, is_beyond_null, mechanisms
from analysis.long_table.circumstances import SHUFFLED
from analysis.status import Status
from analysis.tables.power_laws import MIXED, PowerLaw, fit_families

QUESTION = "Does the offset mechanism hold as models grow?"
ORDER = 1
METRICS = (*MECHANISM, "mean_cosine")


def answer(findings: Findings) -> StudyAnswer:
    """Return what the ladder says; see the rule above."""
    found = mechanisms(findings, findings.aligned)
    holds = [each.holds for each in found]
    laws = _laws(found)
    fitted = [law for law in laws if law.family != MIXED and law.exponent is not None]
    trends = [_does_not_weaken(law, found) for law in fitted]
    used = [each.consistency for each in found]
    used += [each.behaviour for each in found if each.behaviour]
    told = [*caveats(findings, used=used, metrics=METRICS)]
    told += _of_controls(findings)
    if any(law.descriptive for law in fitted):
        told.append("A fit over 4 or 5 sizes describes these sizes and is no law.")
    return StudyAnswer(
        name="holds_as_models_grow",
        question=QUESTION,
        verdict=_verdict(holds, trends),
        summary=_summary(holds, laws),
        evidence=(
            *(_trend(law, found) for law in laws if law.family != MIXED),
            *(sign for each in found for sign in each.evidence),
            *_interventions(findings),
            *_elsewhere(findings),
        ),
        caveats=tuple(told),
    )


def _of_controls(findings: Findings) -> list[str]:
    """Return what training on shuffled labels takes from the signs of the mechanism."""
    control = [each for each in findings.found if each.about.objective == SHUFFLED]
    shared = [each for each in mechanisms(findings, control) if is_beyond_null(each.consistency)]
    if not shared:
        return []
    values = "; ".join(f"{each.model} {shown(each.consistency)}" for each in shared)
    return [
        "Offsets after training on shuffled labels are shared by prompts too, so sharing by itself "
        f"is no sign of preferences: {values}."
    ]


def _interventions(findings: Findings) -> list[Evidence]:
    """Return what other interventions recover of toxicity, at each dose. They decide nothing."""
    return [
        of_finding(
            each,
            f"{each.model}, {each.about.objective}: {each.about.intervention} at dose "
            f"{each.cell['dose']} recovers {shown(each)} of the way to the other model.",
            None,
        )
        for each in findings.aligned
        if each.number.metric == f"recovered_{behaviour_metric(findings)}"
        and each.about.intervention not in (None, OFFSET)
        and each.about.prompts == findings.reference
    ]


def _elsewhere(findings: Findings) -> list[Evidence]:
    """Control: mean offsets on other plain prompts, such as unrelated ones. They decide nothing."""
    return [
        of_finding(
            each,
            f"Control, {each.model}, {each.about.objective}: the mean offset on other prompts and "
            f"the one on the prompts above have cosine {shown(each)}.",
            None,
        )
        for each in findings.aligned
        if each.number.metric == "mean_cosine"
        and each.about.is_plain
        and each.about.against_prompts not in (None, each.about.prompts)
    ]


def _laws(found: Sequence[Mechanism]) -> Sequence[PowerLaw]:
    """Return the power law of consistency over counted parameters, in every family."""
    return fit_families([each.consistency.number.as_row() for each in found]) if found else ()


def _does_not_weaken(law: PowerLaw, found: Sequence[Mechanism]) -> bool | None:
    """By the whole interval of the exponent; see the rule above."""
    assert law.low is not None and law.high is not None and law.leave_one_out_high is not None
    if law.high < 0 and law.leave_one_out_high < 0:
        return False
    own = _of_family(law, found)
    sizes = [float(each.number.num_parameters or 0) for each in own if (each.value or 0.0) > 0]
    return True if (max(sizes) / min(sizes)) ** law.low > HALF else None


def _of_family(law: PowerLaw, found: Sequence[Mechanism]) -> list[Finding]:
    """Return the consistencies behind a fit within one family."""
    return [each.consistency for each in found if str(each.consistency.number.family) == law.family]


def _verdict(holds: Sequence[bool | None], trends: Sequence[bool | None]) -> Verdict:
    there = verdict(holds)
    if there is not Verdict.YES:
        return there
    if not trends or None in trends:
        return Verdict.UNDECIDED
    return Verdict.MIXED if False in trends else Verdict.YES


def _summary(holds: Sequence[bool | None], laws: Sequence[PowerLaw]) -> str:
    if not holds:
        return "No aligned model has offsets on plain prompts."
    said = counted(holds, "aligned models")
    trends = [_in_words(law) for law in laws if law.family != MIXED]
    return f"The mechanism is there: {said}. Consistency over size: {'; '.join(trends)}."


def _in_words(law: PowerLaw) -> str:
    if law.status is not Status.OK:
        return f"{law.family} has too few sizes ({law.reason})"
    least, most = law.leave_one_out_low, law.leave_one_out_high
    return (
        f"{law.family} exponent {number(law.exponent, law.low, law.high)} over {law.num_sizes} "
        f"sizes ({least:.2g} to {most:.2g} with one left out)"
    )


def _trend(law: PowerLaw, found: Sequence[Mechanism]) -> Evidence:
    own = _of_family(law, found)
    decided = law.exponent is not None
    return Evidence(
        text=f"Consistency as a power of counted parameters: {_in_words(law)}.",
        metric="consistency",
        cell={"family": law.family},
        value=law.exponent,
        low=law.low,
        high=law.high,
        keys=tuple(dict.fromkeys(key for each in own for key in each.keys)),
        supports=_does_not_weaken(law, found) if decided else None,
    )
