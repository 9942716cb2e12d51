"""What is said at the end of a launch: what ran, failed and why, was waited for, and what it cost.

Names, numbers and sentences alone: nothing of the study's data.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from orchestrator.dispatch.execution import LaunchReport
from orchestrator.notices.way import Notice, Occasion
from orchestrator.notices.wording import sentence
from orchestrator.printed_commands import as_typed
from orchestrator.records.events import Ended, Event, LaunchState, Submitted
from orchestrator.records.failure import FAILURES
from orchestrator.text import duration, pluralize

_MOST_CAUSES = 5
_MOST_TABLE_LINES = 14
_TITLES = {
    LaunchState.COMPLETE: "complete",
    LaunchState.FAILED: "ended, not all of it done",
    LaunchState.CANCELLED: "cancelled",
    LaunchState.INTERRUPTED: "interrupted; the same command goes on",
    LaunchState.SUSPENDED: "ended for now; the same command goes on",
    LaunchState.OUT_OF_BUDGET: "its budget is spent",
}


@dataclass(frozen=True, kw_only=True)
class GpuHours:
    """What accelerators were held for, in hours times their number."""

    used: float = 0.0
    """By attempts of this launch, whatever came of them."""
    wasted: float = 0.0
    """The part of it that attempts held which failed."""
    reused: float = 0.0
    """What earlier attempts took of whose work this launch made use."""


def gpu_hours(events: Iterable[Event], launch: str, reused: Set[str]) -> GpuHours:
    """Add up GPU-hours from a ledger.

    Args:
        events: all events of the study's ledger.
        launch: id of the launch, with which its attempts begin.
        reused: keys of the jobs that it found done.
    """
    num_gpus: dict[str, float] = {}
    used = wasted = saved = 0.0
    for event in events:
        if isinstance(event, Submitted):
            num_gpus[event.attempt] = event.num_gpus
        elif isinstance(event, Ended):
            seconds = event.seconds if event.held is None else event.held
            held = seconds * num_gpus.pop(event.attempt, 0.0)
            if event.attempt.startswith(launch):
                used += held
                wasted += held if event.result in FAILURES else 0.0
            elif event.key in reused and event.result not in FAILURES:
                saved += held
    return GpuHours(used=used / 3600, wasted=wasted / 3600, reused=saved / 3600)


def digest(
    study: str,
    report: LaunchReport,
    *,
    labels: Mapping[str, str],
    waited: Mapping[str, float],
    hours: GpuHours,
    table: str = "",
) -> Notice:
    """Write the notice of a launch's end.

    Args:
        study: name of the study.
        report: how the launch ended.
        labels: job -> how people read it.
        waited: what was waited for -> seconds.
        hours: GPU-hours.
        table: the head of the study's table as text; empty where there is none.
    """
    lines = [
        f"{len(report.ran)} ran, {len(report.reused)} reused, {len(report.failed)} failed, "
        f"{len(report.blocked)} blocked, {len(report.waiting)} left, {duration(report.seconds)}"
    ]
    lines += _causes(report.failed, labels)
    if report.failed:
        lines.append(as_typed(f"`deltascale resume {study}` tries what failed again"))
    lines += [sentence(report.waited_for)] if report.waited_for else []
    lines += [sentence(report.spent_budget)] if report.spent_budget else []
    if waited:
        parts = (f"{what} {duration(seconds)}" for what, seconds in waited.items())
        lines.append(f"waited for: {', '.join(parts)}")
    if hours.used or hours.reused:
        lines.append(
            f"GPU-hours: {hours.used:.2f} used, of them {hours.wasted:.2f} by attempts that "
            f"failed; {hours.reused:.2f} reused"
        )
    head = table.rstrip().splitlines()[:_MOST_TABLE_LINES]
    if head:
        lines += ["```", *(line.rstrip() for line in head), "```"]
    return Notice(
        occasion=Occasion.END,
        study=study,
        title=f"{study}: {_TITLES[report.state]}",
        text="\n".join(lines),
    )


def _causes(failed: Mapping[str, str], labels: Mapping[str, str]) -> Sequence[str]:
    """Return a line for each cause of failure with its remedy, the most frequent first."""
    causes: dict[str, list[str]] = {}
    for key, message in failed.items():
        causes.setdefault(_cause(message), []).append(labels.get(key, key[:16]))
    by_number = sorted(causes.items(), key=lambda cause: -len(cause[1]))
    lines = [
        f"failed: {jobs[0]}{f' and {len(jobs) - 1} more' if len(jobs) > 1 else ''}: {cause}"
        for cause, jobs in by_number[:_MOST_CAUSES]
    ]
    left = len(by_number) - len(lines)
    return [*lines, f"… and {pluralize(left, 'other cause')}"] if left > 0 else lines


def _cause(message: str) -> str:
    """Return the first line of a message and, where it has one, its hint."""
    hints = [line.strip() for line in message.splitlines() if line.strip().startswith("hint:")]
    remedy = f"; {sentence(hints[0].removeprefix('hint:'))}" if hints else ""
    return f"{sentence(message)}{remedy}"
