"""From findings to evidence: what an interval, a floor or a null band lets one say.

A fall, a share that is lost and half of one held against another are paired over the prompt groups
that their numbers share (`analysis/contrasts`), whatever the correlation. Where that is not known
(measured by an earlier version; fewer than five groups) intervals are taken as independent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, nan
from operator import sub

from analysis.answering.answer import Evidence, Verdict
from analysis.answering.findings import Finding, Findings
from analysis.contrasts.effects import paired_effect
from analysis.contrasts.paired_difference import paired_difference
from analysis.estimates.intervals import Estimate
from analysis.long_table.circumstances import SHUFFLED, losses
from analysis.measurement import Measurement
from analysis.status import MEANINGS, Status
from analysis.tables.rounding import format_beside, format_ends, format_number

BEHAVIOUR = ("toxic_mass", "toxic_rate")
"""Toxicity, the preferred one first: the mass is exact, the rate all or nothing per prompt.

A mass of which less than 90 % of the words are counted (`LEAST_COVERAGE`) is not weighed."""
AT_DOSE = "Numbers are read at equal dose"
"""Beginning of the caveat that says at which dose an answer stands."""
HALF = 0.5
"""Most of an effect is more than this share of it."""
ORGANISM = (
    "Models here were trained from scratch for this study: a model organism, which says nothing of "
    "GPT-2, LLaMA or any other published model."
)


def by_metric(
    findings: Findings,
    among: Iterable[Finding],
    metrics: Sequence[str] = BEHAVIOUR,
    is_compared: Callable[[Finding], bool] | None = None,
) -> list[list[Finding]]:
    """Group findings of toxicity by metric, that first which is to be weighed.

    A mass that counts too few of the words, or that only one of two models has, is passed over for
    the rate, in these cells alone: what is held against each other has one metric, and two cells
    may have two.

    Args:
        findings: all findings.
        among: findings that one answer compares with each other.
        metrics: names, the preferred one first.
        is_compared: whether a finding has all that it is compared with; None: its base's number.
    """
    complete = is_compared or (lambda finding: drop(findings, finding) is not None)
    groups = [[f for f in among if f.number.metric == metric] for metric in metrics]
    present = [group for group in groups if group]

    def lacks(group: Sequence[Finding]) -> int:
        return 0 if any(map(complete, group)) else 1 + all(f.estimate is None for f in group)

    return sorted(present, key=lacks)


def by_cell(among: Iterable[Finding]) -> list[list[Finding]]:
    """Group findings by aligned model and prompts."""
    cells: dict[tuple[object, ...], list[Finding]] = {}
    for finding in among:
        cell = (finding.model, finding.aligned, finding.about.prompts)
        cells.setdefault(cell, []).append(finding)
    return list(cells.values())


FALL, LOST_SHARE = "fall", "lost share"
_EFFECTS: dict[str, Callable[[float, float], float]] = {
    FALL: sub,
    LOST_SHARE: lambda before, after: 1 - after / before if before else nan,
}
"""Effect -> what it is of the base's number and the aligned model's."""
_NOT_MADE = object()


@dataclass(frozen=True, kw_only=True)
class Effect(Estimate):
    """An estimate that knows its value without each prompt group."""

    number: Measurement
    """The same as a measurement."""

    @classmethod
    def of(cls, numbers: Sequence[Measurement], of: Callable[..., float]) -> Effect | None:
        """Return a function of measurements, paired over groups; None where that cannot be."""
        number = paired_effect(numbers, of, numbers[0].metric)
        if number is None or number.value is None:
            return None
        return cls(value=number.value, low=number.low, high=number.high, number=number)


def difference(first: Finding, second: Finding) -> Estimate | None:
    """Return first less second of two numbers in one unit; None where either has no interval."""
    paired = paired_difference(first.number, second.number)
    if paired is not None or first.estimate is None or second.estimate is None:
        return paired
    return first.estimate.minus(second.estimate)


def drop(findings: Findings, after: Finding) -> Estimate | None:
    """Return by how much alignment lowered a number; None where either side has no interval."""
    before = findings.before(after)
    if before is None or before.estimate is None or after.estimate is None:
        return None
    fall = before.estimate.minus(after.estimate)
    return None if fall is None else _paired(findings, after, FALL) or fall


def lost_share(findings: Findings, after: Finding) -> Estimate | None:
    """Return the fall as a share of what the base had: what it can lose differs between prompts.

    Paired where groups are shared, else ends by adding the errors of both numbers in squares (Zou
    and Donner 2008, *Construction of confidence limits about effect measures*); None where the
    base's interval reaches 0.
    """
    before_alignment = findings.before(after)
    old = None if before_alignment is None else _ends(before_alignment.estimate)
    new = _ends(after.estimate)
    if old is None or new is None or not old[1] > 0:
        return None
    if paired := _paired(findings, after, LOST_SHARE):
        return paired
    (before, before_low, before_high), (value, low, high) = old, new
    left = value / before
    up = hypot((high - value) / before, left * (before / before_low - 1))
    down = hypot((value - low) / before, left * (1 - before / before_high))
    return Estimate(value=1 - left, low=1 - left - up, high=1 - left + down)


def _paired(findings: Findings, after: Finding, name: str) -> Effect | None:
    """Return an effect on the base's number and the aligned model's, on the same prompts."""
    effect = findings.effects.get((after, name), _NOT_MADE)
    if effect is _NOT_MADE:
        before = findings.before(after)
        numbers = [] if before is None else [before.number, after.number]
        effect = Effect.of(numbers, _EFFECTS[name]) if numbers else None
        findings.effects[after, name] = effect
    assert effect is None or isinstance(effect, Effect)
    return effect


def _ends(estimate: Estimate | None) -> tuple[float, float, float] | None:
    """Return value, lower and upper end of an estimate that has all three."""
    return None if estimate is None or not estimate.ends else (estimate.value, *estimate.ends)


def above(estimate: Estimate | None, threshold: float) -> bool | None:
    """Whether an interval lies above a threshold (True), at or below it (False), or across it."""
    if estimate is None or estimate.ends is None:
        return None
    low, high = estimate.ends
    return True if low > threshold else False if high <= threshold else None


def most_remains(part: Estimate | None, whole: Estimate | None) -> bool | None:
    """Return whether more than half of an effect is left; None where intervals do not say.

    Where both know their value without each prompt group, by the interval of part - whole / 2.
    """
    left, total = _ends(part), _ends(whole)
    if left is None or total is None or not total[1] > 0:
        return None
    if isinstance(part, Effect) and isinstance(whole, Effect):
        gap = Effect.of([part.number, whole.number], lambda left, all_of: left - HALF * all_of)
        if gap is not None:
            return above(gap, 0.0)
    (_, low, high), (_, total_low, total_high) = left, total
    if low > HALF * total_high:
        return True
    return False if high < HALF * total_low else None


def in_words(estimate: Estimate | None) -> str:
    """Return a value with its interval, in as many digits as that supports."""
    if estimate is None:
        return "missing"
    if estimate.low is None or estimate.high is None:
        return format_number(estimate.value)
    return format_ends(estimate.value, estimate.low, estimate.high)


def finding_in_words(finding: Finding) -> str:
    """Return the value with interval, null band, seeds and footnote, or why it is missing."""
    number = finding.number
    if finding.shortfall is not None:
        return f"not weighed ({finding.shortfall})"
    if finding.estimate is None:
        return f"missing ({number.status}: {number.reason})"
    parts = [in_words(finding.estimate)]
    if number.floor is not None:
        parts.append(f"floor {format_beside(number.floor, number.low, number.high)}")
    if finding.null_high is not None:
        end = format_beside(finding.null_high, number.low, number.high)
        parts.append(f"null bands end at {end}")
    if (number.num_seeds or 0) > 1:
        parts.append(f"{number.num_seeds} seeds")
    if number.reason:
        parts.append(number.reason)
    return "; ".join(parts)


def of_finding(finding: Finding, text: str, supports: bool | None = None) -> Evidence:
    """Return a finding as evidence."""
    return Evidence(
        text=text,
        metric=finding.number.metric,
        cell=finding.cell,
        estimate=finding.estimate,
        keys=finding.number.keys,
        supports=supports,
    )


def of_drop(findings: Findings, after: Finding, text: str, supports: bool | None) -> Evidence:
    """Return how much alignment lowered a number, as evidence; its jobs are those of both sides."""
    before = findings.before(after)
    keys = (*after.number.keys, *(before.number.keys if before else ()))
    evidence = of_finding(after, text, supports)
    return replace(evidence, estimate=drop(findings, after), keys=keys)


def change_in_words(findings: Findings, after: Finding) -> str:
    """Say that a number fell or rose, with interval, share and both ends, or what is missing."""
    fall, before = drop(findings, after), findings.before(after)
    share = lost_share(findings, after)
    to = finding_in_words(after)
    if before is None:
        return f"changed by an unknown amount (to {to}, with no number of the base beside it)"
    of_model = f" of {before.about.objective}" if before.aligned else ""
    ends = f"from {finding_in_words(before)}{of_model} to {to}"
    if fall is None:
        return f"changed by an unknown amount ({ends}, without an interval)"
    rose = fall.value < 0
    part = "" if share is None else f"a share of {in_words(_risen(share) if rose else share)}, "
    size = f"rose by {in_words(_risen(fall))}" if rose else f"fell by {in_words(fall)}"
    return f"{size} ({part}{ends})"


def _risen(fall: Estimate) -> Estimate:
    """Return a fall as a rise: the same number with the other sign."""
    low, high = (None, None) if fall.ends is None else (-fall.ends[1], -fall.ends[0])
    return Estimate(value=-fall.value, low=low, high=high)


def verdict(supports: Sequence[bool | None]) -> Verdict:
    """Return yes or no where all evidence says so; mixed where some says yes and some no."""
    if not supports:
        return Verdict.NOT_MEASURED
    if True in supports and False in supports:
        return Verdict.MIXED
    if None in supports:
        return Verdict.UNDECIDED
    return Verdict.YES if True in supports else Verdict.NO


_VERSION = re.compile(r"v[0-9]+\b")
"""What a definition that has versions begins with."""


def counted(supports: Sequence[bool | None], what: str) -> str:
    """Return how the votes fell, in words."""
    yes, no = supports.count(True), supports.count(False)
    parts = [f"{yes} of {len(supports)} {what} say yes", f"{no} say no"]
    undecided = len(supports) - yes - no
    return ", ".join([*parts, f"{undecided} undecided"] if undecided else parts)


def caveats(
    findings: Findings, *, used: Sequence[Finding], metrics: Sequence[str]
) -> tuple[str, ...]:
    """Return what a reader of any answer must know.

    That is: model organisms, weights that were rounded, models that compute otherwise, prompts that
    were left out, the place, versions of definitions, seeds, controls that are absent and missing
    numbers.
    """
    remarks = [ORGANISM] if any(finding.about.from_scratch for finding in used) else []
    rounded = dict.fromkeys((f.model, f.about.rounded) for f in used if f.about.rounded)
    remarks += [f"{model}: {how}; not the weights that were published." for model, how in rounded]
    otherwise = dict.fromkeys((f.model, f.about.computed_otherwise) for f in used)
    remarks += [
        f"{model}: base and aligned model compute otherwise whatever their weights ({how}), which "
        "differences between them hold, too."
        for model, how in otherwise
        if how
    ]
    remarks += losses((f.model, f.about) for f in used)
    if findings.doses:
        remarks.append(f"{AT_DOSE}: {'; '.join(findings.doses)}.")
    read = [f.number.metric for f in used if f.number.site is not None]
    remarks += findings.where.remarks(read, metrics, findings.place)
    remarks += _remarks_on_versions(used)
    remarks += _remarks_on_seeds(used)
    toxicity = sorted({f.number.metric for f in used} & set(BEHAVIOUR))
    if len(toxicity) > 1:
        remarks.append(f"Toxicity is {' in some cells, '.join(toxicity)} in others.")
    if used and not any(finding.about.objective == SHUFFLED for finding in findings.all):
        remarks.append("No dpo-shuffled control: training on pairs as such is not ruled out.")
    reasons = Counter(
        str(finding.shortfall or finding.number.reason)
        for finding in used
        if finding.estimate is None
    )
    remarks += [
        f"{n} of {len(used)} numbers {_are(n)} missing: {why}." for why, n in reasons.items()
    ]
    statuses = Counter(str(r["status"]) for r in findings.missing if r["metric"] in metrics)
    remarks += [
        f"{n} number{'s' * (n != 1)} {_are(n)} missing: {MEANINGS[Status(status)]}."
        for status, n in statuses.items()
    ]
    return tuple(remarks)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _remarks_on_versions(used: Sequence[Finding]) -> list[str]:
    """Say which numbers of one metric were measured by several versions of its definition."""
    models: dict[str, dict[str, dict[str, None]]] = {}
    for finding in used:
        number = finding.number
        if number.value is not None and (version := _VERSION.match(number.definition or "")):
            of_metric = models.setdefault(number.metric, {})
            of_metric.setdefault(version[0], {})[finding.model] = None
    return [
        f"{metric} was measured by several versions of its definition, which an upgrade leaves as "
        f"they are: {_listed(found)}. What is deleted of the earlier ones is measured again by the "
        "next launch."
        for metric, found in models.items()
        if len(found) > 1
    ]


def _listed(found: Mapping[str, Iterable[str]]) -> str:
    return "; ".join(f"{version} in {', '.join(found[version])}" for version in sorted(found))


def _remarks_on_seeds(used: Sequence[Finding]) -> list[str]:
    seeds = {finding.number.num_seeds or 0 for finding in used if finding.aligned}
    if seeds and max(seeds) < 2:
        return ["One seed: intervals are over prompts, not over trainings."]
    if 1 in seeds:
        return ["Some models have one seed: their intervals are over prompts only."]
    return []
