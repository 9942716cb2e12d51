"""Whether "it holds as models grow" is true where every size was trained equally hard.

The verdict of `holds_as_models_grow`, by its own rule, with every number read at one dose. Three
doses within reach of all sizes: between the highest dose of a first snapshot and the least one of a
last snapshot, a quarter, half and three quarters of the way in logarithms, to two digits; of the
first scale that has such a reach (KL, reward margin, that per token, fall of toxic mass). Yes: at
all three. No: at none. Mixed: at all three, or where they differ and none is undecided. Else
undecided, and so where no dose is within reach of all sizes. The verdict at equal steps stands
beside, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.answering import evidence
from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.answers import holds_as_models_grow as growth
from analysis.answering.findings import Findings
from analysis.dose.doses import SCALES, Dose
from analysis.dose.reach import Reach, reaches

QUESTION = "Does that hold at equal dose, where every size was trained equally hard?"
ORDER = 6
METRICS = (*growth.METRICS, *(scale.metric for scale in SCALES.values()))


def answer(findings: Findings) -> StudyAnswer:
    """Return the verdicts at three doses; see the rule above."""
    found = _reaches(findings)
    reach = next((reach for reach in found if reach.doses), None)
    if findings.snapshots is None or reach is None:
        return _without_dose(findings, found)
    at_doses = {dose: growth.answer(findings.snapshots.at(dose)) for dose in reach.doses}
    by_step = growth.answer(findings)
    verdicts = [at_dose.verdict for at_dose in at_doses.values()]
    caveats = dict.fromkeys(
        caveat
        for at_dose in at_doses.values()
        for caveat in at_dose.caveats
        if not caveat.startswith(evidence.AT_DOSE)  # the summary names all of them
    )
    return StudyAnswer(
        name="at_equal_dose",
        question=QUESTION,
        verdict=_verdict(verdicts),
        summary=_summary(reach, at_doses, by_step.verdict),
        evidence=(*_evidence(at_doses), *_ends(reach)),
        caveats=(_reach_in_words(reach), *caveats),
    )


def _reaches(findings: Findings) -> Sequence[Reach]:
    along = findings.snapshots
    if along is None:
        return []
    objectives = frozenset(finding.about.objective for finding in findings.aligned)
    return along.once(
        (reaches, objectives),
        lambda: reaches(
            along.rows, along.circumstances, lambda about: about.objective in objectives
        ),
    )


def _without_dose(findings: Findings, found: Sequence[Reach]) -> StudyAnswer:
    verdict, summary = Verdict.NOT_MEASURED, "No model was measured at snapshots of its training."
    if findings.snapshots is not None:
        names = ", ".join(scale.metric for scale in SCALES.values())
        summary = f"No dose was measured at the snapshots (one of {names})."
    if found:
        verdict = Verdict.UNDECIDED
        summary = f"No dose is within reach of all sizes: {'; '.join(map(_reach_in_words, found))}"
    return StudyAnswer(
        name="at_equal_dose",
        question=QUESTION,
        verdict=verdict,
        summary=summary,
        caveats=evidence.caveats(findings, used=(), metrics=METRICS),
    )


def _verdict(verdicts: Sequence[Verdict]) -> Verdict:
    if len(set(verdicts)) == 1:
        return verdicts[0]
    unsure = {Verdict.UNDECIDED, Verdict.NOT_MEASURED} & set(verdicts)
    return Verdict.UNDECIDED if unsure else Verdict.MIXED


def _summary(reach: Reach, at_doses: dict[Dose, StudyAnswer], by_step: Verdict) -> str:
    told = ", ".join(f"{answer.verdict} at {dose.at:g}" for dose, answer in at_doses.items())
    changes = any(answer.verdict is not by_step for answer in at_doses.values())
    steps = "another verdict than" if changes else "the same verdict as"
    return (
        f"At equal {SCALES[reach.name].metric}: {told}; {steps} at the end of training "
        f"({by_step}), where sizes stand at {_range(reach)}."
    )


def _evidence(at_doses: dict[Dose, StudyAnswer]) -> Iterator[Evidence]:
    """Yield what decides at each dose, exponents first."""
    for trends in (True, False):
        for dose, at_dose in at_doses.items():
            for piece in at_dose.evidence:
                if ("family" in piece.cell and len(piece.cell) == 1) is trends:
                    cell = {**piece.cell, "dose": dose.label}
                    yield replace(piece, text=f"At {dose.label}: {piece.text}", cell=cell)


def _ends(reach: Reach) -> Iterator[Evidence]:
    for model, dose in reach.last.items():
        yield Evidence(
            text=f"{model}: {SCALES[reach.name].metric} is {dose:.3g} at its last snapshot.",
            metric=SCALES[reach.name].metric,
            cell={"model": model},
            estimate=None,
            keys=(),
        )


def _range(reach: Reach) -> str:
    least, most = min(reach.last.values()), max(reach.last.values())
    unit = SCALES[reach.name].unit
    return f"{SCALES[reach.name].metric} {least:.3g} to {most:.3g} {unit}".rstrip()


def _reach_in_words(reach: Reach) -> str:
    """Return where all trainings have been, or why nowhere."""
    metric = SCALES[reach.name].metric
    if reach.doses:
        ends = f"{reach.low:.3g} to {reach.high:.3g}"
        return f"All trainings have been at {metric} {ends}: doses are chosen in between."
    return (
        f"some first snapshot is at {metric} {reach.low:.3g}, and some last one at "
        f"{reach.high:.3g} only."
    )
