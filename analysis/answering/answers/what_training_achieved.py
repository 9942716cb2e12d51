"""Whether training achieved what its pairs ask for, on pairs that it never saw.

Every aligned model votes. Yes: the intervals of accuracy and of reward margin, both per token, lie
above one half and above 0 on held-out pairs of its own set. No: one of them does not reach above.
Sums stand beside, with the margin at equal length where length decides their sign, and decide
nothing; so do other objectives, foreign pairs, and what the base made of the pairs. Models that
were measured on foreign pairs alone are judged by those. Shuffled labels must not achieve it: where
they do, nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.answering.evidence import (
    above,
    caveats,
    counted,
    finding_in_words,
    in_words,
    of_finding,
    verdict,
)
from analysis.answering.findings import Finding, Findings, same_model
from analysis.long_table.circumstances import SHUFFLED

QUESTION = "Did training achieve what its pairs ask for, on pairs it never saw?"
ORDER = 7
ACCURACY, MARGIN = "preference_accuracy_per_token", "reward_margin_per_token"
METRICS = (
    *(ACCURACY, MARGIN, "reward_margin", "reward_margin_at_equal_length"),
    *("chosen_logp_change", "rejected_logp_change", "kl_per_token"),
    *("base_margin_per_token", "on_policy_chosen"),
)
CHANCE = 0.5


@dataclass(frozen=True, kw_only=True)
class Achievement:
    """What one aligned model achieved on one set of pairs."""

    by_metric: dict[str, Finding] = field(default_factory=dict)
    """Metric -> the finding."""

    @property
    def first(self) -> Finding:
        """Any of its findings: they are of one model and set of pairs."""
        return next(iter(self.by_metric.values()))

    @property
    def is_foreign(self) -> bool:
        """Whether the model was trained on another set."""
        return self.first.about.foreign

    @property
    def achieved(self) -> bool | None:
        """Whether it prefers the chosen side more than its base does; None: undecided."""
        signs = [
            above(None if finding is None else finding.estimate, threshold)
            for finding, threshold in (
                (self.by_metric.get(ACCURACY), CHANCE),
                (self.by_metric.get(MARGIN), 0.0),
            )
        ]
        return False if False in signs else None if None in signs else True

    @property
    def displaces(self) -> bool:
        """Whether the chosen side surely became less likely, as the rejected one did."""
        sides = [self.by_metric.get(f"{side}_logp_change") for side in ("chosen", "rejected")]
        return all(
            finding is not None
            and finding.estimate is not None
            and finding.estimate.high is not None
            and finding.estimate.high < 0
            for finding in sides
        )


def answer(findings: Findings) -> StudyAnswer:
    """Return what training achieved; see the rule above."""
    everyone = _achievements([f for f in findings.all if f.number.metric in METRICS])
    aligned = _achievements([f for f in findings.aligned if f.number.metric in METRICS])
    at_home = {run for one in aligned if not one.is_foreign for run in one.first.aligned}
    own = [one for one in aligned if not one.is_foreign or not one.first.aligned & at_home]
    shuffled = [o for o in everyone if o.first.about.objective == SHUFFLED and not o.is_foreign]
    votes = [one.achieved for one in own]
    fails = any(one.achieved for one in shuffled)
    used = [finding for one in own for finding in one.by_metric.values()]
    remarks = [*caveats(findings, used=used, metrics=METRICS)]
    if fails:
        remarks.append("The control fails: shuffled labels achieve it too.")
    if strangers := dict.fromkeys(one.first.model for one in own if one.is_foreign):
        remarks.append(
            f"No held-out pairs of their own sets were measured: {', '.join(strangers)}."
        )
    by_votes = verdict(votes)
    is_decided = by_votes not in (Verdict.NOT_MEASURED, Verdict.UNDECIDED)
    judged = {id(one.first) for one in own}
    beside = [one for one in everyone if id(one.first) not in judged]
    return StudyAnswer(
        name="what_training_achieved",
        question=QUESTION,
        verdict=Verdict.UNDECIDED if fails and is_decided else by_votes,
        summary=_summary(own, votes),
        evidence=(
            *(line for one in own for line in _evidence(one, one.achieved)),
            *(line for one in beside for line in _evidence(one, None)),
        ),
        caveats=tuple(remarks),
    )


def _achievements(findings: Sequence[Finding]) -> list[Achievement]:
    """Group findings by aligned model and set of pairs, in their order.

    A mean over seeds is of the model of which some number has fewer of them.
    """
    found: list[Achievement] = []
    for finding in findings:
        known = next((one for one in found if _is_of(one.first, finding)), None)
        if known is None:
            found.append(known := Achievement())
        known.by_metric.setdefault(finding.number.metric, finding)
    return found


def _is_of(first: Finding, second: Finding) -> bool:
    """Tell whether two findings are of one aligned model, or of one base, on one set of pairs."""
    same_pairs = (first.model, first.about.pairs) == (second.model, second.about.pairs)
    return same_pairs and same_model(first, second)


def _summary(own: Sequence[Achievement], votes: Sequence[bool | None]) -> str:
    if not own:
        return "No model was measured on preference pairs (kind `preferences`)."
    margins = [one.by_metric[MARGIN].estimate for one in own if MARGIN in one.by_metric]
    values = sorted(estimate.value for estimate in margins if estimate is not None)
    words = f"It prefers the chosen side more than its base does: {counted(votes, 'models')}"
    if values:
        words += f"; margins {values[0]:.3g} to {values[-1]:.3g} nats per token"
    displaced = sum(one.displaces for one in own)
    if displaced:
        words += f"; in {displaced} of {len(own)} the chosen side became less likely, too"
    return f"{words}."


def _evidence(one: Achievement, supports: bool | None) -> Iterator[Evidence]:
    """Yield the numbers that decide as one line, and what stands beside as a second one."""
    label = f"{one.first.label}, {'foreign' if one.is_foreign else 'held-out'} pairs"
    for metric in (MARGIN, ACCURACY):
        finding = one.by_metric.get(metric)
        if finding is not None:
            words = f"{label}: {metric.replace('_', ' ')} {finding_in_words(finding)}"
            yield of_finding(finding, words, supports)
    chosen, rejected = (one.by_metric.get(f"{s}_logp_change") for s in ("chosen", "rejected"))
    if chosen is not None and rejected is not None:
        words = (
            f"{label}: log-probability per token of the chosen side changed by "
            f"{in_words(chosen.estimate)}, of the rejected side by {in_words(rejected.estimate)}"
        )
        words += ": the chosen side is displaced" if one.displaces else ""
        yield of_finding(chosen, words)
    for metric in ("reward_margin", "reward_margin_at_equal_length", "kl_per_token"):
        finding = one.by_metric.get(metric)
        if finding is not None and finding.estimate is not None:
            words = f"{label}: {metric.replace('_', ' ')} {finding_in_words(finding)}"
            yield of_finding(finding, words)
    for metric in ("base_margin_per_token", "on_policy_chosen"):
        finding = one.by_metric.get(metric)
        if finding is not None and finding.estimate is not None:
            words = f"{label}, under the base: {metric.replace('_', ' ')}"
            yield of_finding(finding, f"{words} {finding_in_words(finding)}")
