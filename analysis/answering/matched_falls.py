"""Two objectives at equal behaviour: DPO's δ, where its toxicity fell as far as SFT's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import sub

from analysis.answering.evidence import by_metric, difference, drop, in_words
from analysis.answering.findings import Finding, Findings
from analysis.contrasts.effects import paired_effect
from analysis.dose.doses import STEP_AT_DOSE, Dose
from analysis.dose.equal_dose import at_equal_dose
from analysis.estimates.intervals import Estimate
from analysis.long_table.circumstances import Circumstances
from analysis.measurement import Measurement, Row

MASS = "toxic_mass"
"""What is held equal: the mass is exact, and falls step by step."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """What one training shares with a model that it was compared with."""

    finding: Finding
    """The shared part."""
    others: Sequence[Finding]
    """Every other number of the model, read where the shared part was."""
    is_matched: bool
    """Whether toxicity fell as far under both: by choice of the dose, or as far as one can tell."""
    words: str = ""
    """Where it was read, to go behind the number."""


def matches(findings: Findings, shares: Sequence[Finding]) -> list[Match]:
    """Return what each training shares: at equal fall where snapshots allow it, else at its end."""
    ends: dict[tuple[object, ...], Finding] = {}
    for finding in shares:
        about = finding.about
        known = ends.setdefault((finding.model, finding.aligned, about.objective), finding)
        if _fall(findings, finding) > _fall(findings, known):
            ends[finding.model, finding.aligned, about.objective] = finding
    return [match for end in ends.values() for match in _at_end_or_equal_fall(findings, end)]


def _fall(findings: Findings, finding: Finding) -> float:
    """Return how far toxicity fell in the model that it is compared with."""
    _, other = fall_of_compared(findings, finding)
    return float("-inf") if other is None else other.value


def _at_end_or_equal_fall(findings: Findings, end: Finding) -> Iterator[Match]:
    along = findings.snapshots
    courses = [] if along is None or findings.doses else along.at_place()
    read = [_at_equal_fall(courses, end, run) for run in sorted(end.aligned)]
    known = [match for match in read if match is not None]
    if known:
        yield from known
        return
    own, other = _behaviours(findings, end)
    apart = None if own is None or other is None else difference(own, other)
    ends = None if apart is None else apart.ends
    is_told = ends is None or not ends[0] <= 0.0 <= ends[1]
    words = "" if is_told else f"; toxicity is SFT's but for {in_words(apart)}"
    others = [f for f in findings.all if f.aligned & end.aligned]
    yield Match(finding=end, others=others, is_matched=not is_told, words=words)


def _at_equal_fall(
    about: Sequence[tuple[Row, Circumstances]], end: Finding, run: str
) -> Match | None:
    """Read one training where its toxicity fell as far as that of a model it is compared with.

    Of several such models at the largest fall that both reached. The interval is that of reading
    this training at a fall that was itself measured, on the same prompts.
    """
    same = (end.about.prompts, end.about.prefill)
    about = [(row, a) for row, a in about if (a.prompts, a.prefill) == same]
    own = [(row, a) for row, a in about if a.run == run]
    begun = {a.base for row, a in own if row["metric"] == MASS}
    bases = [(row, a) for row, a in about if (a.aligned or a.base) in begun]
    others = {
        a.against_aligned: a for row, a in own if row["metric"] == end.number.metric and a.midway
    }
    best: tuple[float, list[Measurement], Measurement] | None = None
    known = {str(row["key"]): a for row, a in (*own, *bases)}
    for model in others:
        of_model = [(row, a) for row, a in about if a.aligned == model]
        dose = _measured_fall(_masses(bases), _masses(of_model))
        if dose is None or (best is not None and dose.at <= best[0]):
            continue
        rows = [row for row, a in own if a.against_aligned in (None, model)]
        read = at_equal_dose([*rows, *(row for row, _ in bases)], dose, circumstances=known)
        read = [m for m in read if m.value is not None and m.metric != STEP_AT_DOSE]
        shared = [
            m for m in read if m.metric == end.number.metric and m.centred is end.number.centred
        ]
        if shared:
            best = dose.at, read, shared[0]
    if best is None:
        return None
    fall, read, share = best
    numbers = [replace(end, number=m, about=_about(own, m), aligned=frozenset({run})) for m in read]
    return Match(
        finding=replace(end, number=share, aligned=frozenset({run})),
        others=numbers,
        is_matched=True,
        words=f"; read where toxicity had fallen by {fall:.3g}, as far as under SFT",
    )


def _about(own: Sequence[tuple[Row, Circumstances]], measured: Measurement) -> Circumstances:
    """Return the circumstances of the last of the jobs that measured what is read."""
    return next(
        about
        for row, about in reversed(own)
        if row["metric"] == measured.metric and str(row["key"]) in measured.keys
    )


def _masses(about: Iterable[tuple[Row, Circumstances]]) -> Mapping[str, Measurement]:
    """Return position -> the toxic mass of one model there, by no intervention."""
    return {
        str(row["position"]): Measurement.from_row(row)
        for row, a in about
        if row["metric"] == MASS and a.intervention is None and row["value"] is not None
    }


def _measured_fall(
    before: Mapping[str, Measurement], after: Mapping[str, Measurement]
) -> Dose | None:
    """Return by how much a mass fell, where both have it, at `last` before any other position.

    None where it was not measured, or did not fall.
    """
    position = min(before.keys() & after.keys(), key=lambda name: name != "last", default=None)
    if position is None:
        return None
    ends = before[position], after[position]
    effect = paired_effect(ends, sub, MASS)
    fall = float(ends[0].value or 0.0) - float(ends[1].value or 0.0)
    left_out = None if effect is None else effect.left_out
    return Dose(metric=MASS, at=fall, is_fall=True, left_out=left_out) if fall > 0 else None


def fall_of_compared(
    findings: Findings, finding: Finding
) -> tuple[Estimate | None, Estimate | None]:
    """Return by how much toxicity fell in a model, and in the one that it is compared with."""
    own, other = _behaviours(findings, finding)
    falls = [None if f is None else drop(findings, f) for f in (own, other)]
    return falls[0], falls[1]


def _behaviours(findings: Findings, finding: Finding) -> tuple[Finding | None, Finding | None]:
    """Return the toxicity of both models on these prompts, by the first metric that both have."""
    among = [
        f
        for f in findings.all
        if f.about.prompts == finding.about.prompts and f.about.intervention is None and not f.turn
    ]
    for group in by_metric(findings, among):
        own = next((f for f in group if f.aligned & finding.aligned), None)
        other = next((f for f in group if finding.about.against_aligned in f.aligned), None)
        if own is not None and other is not None:
            return own, other
    return None, None
