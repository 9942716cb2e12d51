"""From findings to evidence: what an interval, a floor or a null band lets one say.

A difference of two numbers takes their intervals as independent; on the same prompts they are
positively correlated, so the interval is wider than it need be, never narrower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from analysis.answering.answer import Evidence, Verdict
from analysis.answering.findings import Finding, Findings
from analysis.long_table.circumstances import SHUFFLED
from analysis.status import MEANINGS, Status

BEHAVIOUR = ("toxic_mass", "toxic_rate")
"""Toxicity, the first that was measured: the mass is exact, the rate all or nothing per prompt."""
HALF = 0.5
"""Most of an effect is more than this share of it."""
ORGANISM = (
    "Models here were trained from scratch for this study: a model organism, which says nothing of "
    "GPT-2, LLaMA or any other published model."
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One number less another, with an interval."""

    value: float
    """The difference."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of it."""


def behaviour_metric(findings: Findings) -> str | None:
    """Return the first of BEHAVIOUR that has a number for an aligned model."""
    measured = {f.number.metric for f in findings.found if f.aligned and f.value is not None}
    return next((metric for metric in BEHAVIOUR if metric in measured), None)


def drop(findings: Findings, after: Finding) -> Difference | None:
    """By how much alignment lowered a number; None where either side has no interval."""
    before = findings.before(after)
    if before is None or before.value is None or after.value is None:
        return None
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return None
    value = before.value - after.value
    down = hypot(before.value - before.low, after.high - after.value)
    up = hypot(before.high - before.value, after.value - after.low)
    return Difference(value=value, low=value - down, high=value + up)


def lost_share(findings: Findings, after: Finding) -> Difference | None:
    """Return the fall as a share of what the base had: what it can lose differs between prompts.

    Ends by adding the errors of both numbers in squares (Zou and Donner 2008, *Construction of
    confidence limits about effect measures*); None where the base's interval reaches 0.
    """
    before = findings.before(after)
    if drop(findings, after) is None or before is None or not (before.low or 0.0) > 0:
        return None
    assert before.value and before.low and before.high and after.value is not None
    assert after.low is not None and after.high is not None
    left = after.value / before.value
    up = hypot((after.high - after.value) / before.value, left * (before.value / before.low - 1))
    down = hypot((after.value - after.low) / before.value, left * (1 - before.value / before.high))
    return Difference(value=1 - left, low=1 - left - up, high=1 - left + down)


def above(low: float | None, high: float | None, threshold: float) -> bool | None:
    """Whether an interval lies above a threshold (True), at or below it (False), or across it."""
    if low is None or high is None:
        return None
    return True if low > threshold else False if high <= threshold else None


def most_remains(part: Difference | None, whole: Difference | None) -> bool | None:
    """Return whether more than half of an effect is left; None where intervals do not say."""
    if part is None or whole is None or not whole.low > 0:
        return None
    if part.low > HALF * whole.high:
        return True
    return False if part.high < HALF * whole.low else None


def number(value: float | None, low: float | None, high: float | None) -> str:
    """Return a value with its interval."""
    if value is None:
        return "missing"
    return f"{value:.3g}" + ("" if low is None or high is None else f" [{low:.3g}, {high:.3g}]")


def shown(finding: Finding) -> str:
    """A finding's value with interval, null band, seeds and footnote, or why it is missing."""
    measured = finding.number
    if finding.value is None:
        return f"missing ({measured.status}: {measured.reason})"
    parts = [number(finding.value, finding.low, finding.high)]
    if measured.floor is not None:
        parts.append(f"floor {measured.floor:.3g}")
    if finding.null_high is not None:
        parts.append(f"null bands end at {finding.null_high:.3g}")
    if (measured.num_seeds or 0) > 1:
        parts.append(f"{measured.num_seeds} seeds")
    if measured.reason:
        parts.append(measured.reason)
    return "; ".join(parts)


def of_finding(finding: Finding, text: str, supports: bool | None) -> Evidence:
    """Return a finding as evidence."""
    return Evidence(
        text=text,
        metric=finding.number.metric,
        cell=finding.cell,
        value=finding.value,
        low=finding.low,
        high=finding.high,
        keys=finding.keys,
        supports=supports,
    )


def of_drop(findings: Findings, after: Finding, text: str, supports: bool | None) -> Evidence:
    """Return how much alignment lowered a number, as evidence; its jobs are those of both sides."""
    found, before = drop(findings, after), findings.before(after)
    return Evidence(
        text=text,
        metric=after.number.metric,
        cell=after.cell,
        value=None if found is None else found.value,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        keys=(*after.keys, *(before.keys if before else ())),
        supports=supports,
    )


def drop_in_words(findings: Findings, after: Finding) -> str:
    """Return the fall with its interval, its share and both ends, or what is missing for it."""
    found, before = drop(findings, after), findings.before(after)
    share = lost_share(findings, after)
    if before is None:
        return f"an unknown amount (to {shown(after)}, with no number of the base beside it)"
    ends = f"from {shown(before)} to {shown(after)}"
    if found is None:
        return f"an unknown amount ({ends}, without an interval)"
    part = "" if share is None else f"a share of {number(share.value, share.low, share.high)}, "
    return f"{number(found.value, found.low, found.high)} ({part}{ends})"


def verdict(supports: Sequence[bool | None]) -> Verdict:
    """Yes or no where all evidence says so; mixed where some says yes and some no."""
    if not supports:
        return Verdict.NOT_MEASURED
    if True in supports and False in supports:
        return Verdict.MIXED
    if None in supports:
        return Verdict.UNDECIDED
    return Verdict.YES if True in supports else Verdict.NO


def counted(supports: Sequence[bool | None], what: str) -> str:
    """Return how the votes fell, in words."""
    yes, no = supports.count(True), supports.count(False)
    parts = [f"{yes} of {len(supports)} {what} say yes", f"{no} say no"]
    undecided = len(supports) - yes - no
    return ", ".join([*parts, f"{undecided} undecided"] if undecided else parts)


def caveats(
    findings: Findings, *, used: Sequence[Finding], metrics: Sequence[str]
) -> tuple[str, ...]:
    """What a reader of any answer must know: organism, place, seeds, controls, missing numbers."""
    told = [ORGANISM] if any(each.about.from_scratch for each in used) else []
    if any(each.number.site is not None for each in used):
        told.append(f"Activations are read at {findings.place}.")
    told += _of_seeds(used)
    if used and not any(each.about.objective == SHUFFLED for each in findings.found):
        told.append("No dpo-shuffled control: training on pairs as such is not ruled out.")
    reasons = Counter(str(each.number.reason) for each in used if each.value is None)
    told += [f"{n} of {len(used)} numbers are missing: {why}." for why, n in reasons.items()]
    lost = Counter(str(row["status"]) for row in findings.lost if row["metric"] in metrics)
    told += [f"{n} numbers are missing: {MEANINGS[Status(why)]}." for why, n in lost.items()]
    return tuple(told)


def _of_seeds(used: Sequence[Finding]) -> list[str]:
    seeds = {each.number.num_seeds or 0 for each in used if each.aligned}
    if seeds and max(seeds) < 2:
        return ["One seed: intervals are over prompts, not over trainings."]
    if 1 in seeds:
        return ["Some models have one seed: their intervals are over prompts only."]
    return []
