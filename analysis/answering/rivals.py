"""Whether another training lacks what DPO shows: another objective, or shuffled labels."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.answering import evidence
from analysis.answering.findings import Finding, Findings, same_base
from analysis.answering.mechanism import Mechanism, is_beyond_null, mechanisms
from analysis.long_table.circumstances import SHUFFLED


def control_fails(findings: Findings, dpo: Sequence[Mechanism]) -> list[str]:
    """Return models in which shuffled labels give over half of the fall, with offsets shared.

    Args:
        findings: all findings.
        dpo: the mechanism of models aligned by preferences.
    """
    shuffled = [finding for finding in findings.all if finding.about.objective == SHUFFLED]
    controls = mechanisms(findings, shuffled)
    failing = (each.model for each in controls if lacks(findings, each, dpo) is False)
    return list(dict.fromkeys(failing))


def lacks(findings: Findings, other: Mechanism, dpo: Sequence[Mechanism]) -> bool | None:
    """Return whether an objective lacks what DPO shows on the same base; None where it does not."""
    nearest = _nearest(other.consistency, dpo)
    if nearest is None or nearest.holds is False:
        return None
    is_shared = is_beyond_null(other.consistency)
    if is_shared is False:
        return nearest.holds
    own, of_dpo = compared(findings, other, dpo)
    if own is None or of_dpo is None:
        return None
    gives_most = evidence.most_remains(
        evidence.drop(findings, own), evidence.drop(findings, of_dpo)
    )
    if gives_most is False:
        return True
    return False if gives_most and is_shared else None


def compared(
    findings: Findings, other: Mechanism, dpo: Sequence[Mechanism]
) -> tuple[Finding | None, Finding | None]:
    """Return the toxicity of an objective and of DPO by one metric: the first that both have.

    Without one, what the objective has is returned alone.
    """
    nearest = _nearest(other.consistency, dpo)
    for own in other.behaviours:
        for of_dpo in nearest.behaviours if nearest is not None else ():
            names = ("metric", "definition", "position")
            is_same = all(getattr(own.number, n) == getattr(of_dpo.number, n) for n in names)
            if is_same and evidence.drop(findings, own) and evidence.drop(findings, of_dpo):
                return own, of_dpo
    return other.behaviour, None


def _nearest(other: Finding, dpo: Sequence[Mechanism]) -> Mechanism | None:
    """Return DPO on the same base and kind of preferences, in the cell that differs least."""

    def is_comparable(finding: Finding) -> bool:
        same_preferences = finding.about.preferences == other.about.preferences
        return same_preferences and same_base(finding, other)

    return max(
        [mechanism for mechanism in dpo if is_comparable(mechanism.consistency)],
        key=lambda mechanism: len(mechanism.consistency.cell.items() & other.cell.items()),
        default=None,
    )
