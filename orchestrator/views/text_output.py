"""Prints a study for people: its plan by stage, and what it says."""

import io
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from cluster.storage import Storage
from jobs.comparing.view import View
from orchestrator.console import answers, say
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import RUNS, Decision, JobDecision
from orchestrator.plan.disk_space import add_up_sizes
from orchestrator.text import gigabytes, pluralize
from orchestrator.views.study_views import collect_measured, comparisons

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_WHEN_PIPED = 120
_EXAMPLES = 3
_MOST_LAYOUTS = 8


def show_plan(decisions: Sequence[JobDecision], *, every_job: bool) -> None:
    """Print the plan by stage: how many jobs of each decision, and why, for a few jobs or all."""
    stages = max((len(decision.job.stage) for decision in decisions), default=0)
    kinds = max((len(decision.job.kind) for decision in decisions), default=0)
    for stage, group in groupby(decisions, key=lambda decision: decision.job.stage):
        members = list(group)
        counts = Counter(member.decision for member in members)
        summary = ", ".join(f"{counts[word]} {word.value}" for word in Decision if counts[word])
        kind = members[0].job.kind
        name = f"{stage:<{max(14, stages)}} {kind:<{max(11, kinds)}}"
        say(f"{name} {len(members):>6} jobs   {summary}{_gpu_hours(members)}{_size(members)}")
        for line in _layouts(members):
            say(f"    {line}")
        listed = members if every_job else _unusual(members)
        for member in listed:
            job, fit = member.job, member.fit
            key = "(key open)" if member.absent else job.key16
            say(f"    {key:<16}  {member.decision.value:<8} {job.label}   {member.why}")
            if fit is not None and fit.refusal is None:
                say(f"        {layout_text(fit.execution, fit.peak_memory_gb)}")
        left = sum(member.decision is not Decision.REUSE for member in members) - len(listed)
        if left > 0 and listed:
            say(f"    … and {left} more (--all shows every job)")


def _layouts(members: Sequence[JobDecision]) -> list[str]:
    """Return the layouts of jobs, each with its number of jobs, the most frequent first."""
    ways = Counter(
        f"{fit.why}{'' if fit.hours is None else f', {hours_text(fit.hours)}'}"
        for member in {member.job.key: member for member in members}.values()
        if member.decision in RUNS and (fit := member.fit) is not None and fit.why
    )
    lines = [f"{count:>6} x  {way}" for way, count in ways.most_common(_MOST_LAYOUTS)]
    left = len(ways) - len(lines)
    return [*lines, f"        … and {left} other layouts"] if left > 0 else lines


def hours_text(hours: float) -> str:
    """Return `3.2 h`, or minutes below one hour."""
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def layout_text(execution: Mapping[str, object], peak_memory_gb: float | None) -> str:
    """Return `engine=zero2 num_ranks=8, up to 61.2 GB`: the layout that a kind chose for a job."""
    chosen = " ".join(f"{name}={json.dumps(value)}" for name, value in execution.items())
    peak = "" if peak_memory_gb is None else f", up to {peak_memory_gb:.1f} GB each"
    return chosen.replace('"', "") + peak


def _gpu_hours(members: Sequence[JobDecision]) -> str:
    """Return the GPU-hours of a stage's jobs that would run, as far as they are known."""
    to_run = {member.job.key: member for member in members if member.decision in RUNS}.values()
    taken = [member.gpu_hours for member in to_run if member.num_gpus]
    known = [hours for hours in taken if hours is not None]
    if not known:
        return "   GPU-hours not known" if taken else ""
    unknown = (
        f", {pluralize(len(taken) - len(known), 'job')} not known"
        if len(known) < len(taken)
        else ""
    )
    return f"   {gpu_hours_text(sum(known))}{unknown}"


def gpu_hours_text(hours: float) -> str:
    """Return `3.2 GPU-hours`, with two digits below one."""
    return f"{hours:.1f} GPU-hours" if hours >= 1 else f"{hours:.2g} GPU-hours"


def _size(members: Sequence[JobDecision]) -> str:
    """Return how much a stage may write, as far as its jobs can estimate it."""
    most_bytes, num_unknown = add_up_sizes(members)
    unknown = f", {num_unknown} not known yet" if num_unknown else ""
    return f"   up to {gigabytes(most_bytes)}{unknown}" if most_bytes else ""


def _unusual(members: Sequence[JobDecision]) -> list[JobDecision]:
    """Return a few jobs that need an explanation: those that are neither new nor reused."""
    quiet = (Decision.REUSE, Decision.NEW)
    return [member for member in members if member.decision not in quiet][:_EXAMPLES]


def console_width() -> int:
    """Return the columns of the terminal; of a pipe a few more than most have."""
    return shutil.get_terminal_size().columns if answers().isatty() else _WIDTH_WHEN_PIPED


def show_summary(root: Storage, decided: DecidedPlan) -> None:
    """Print on one screen what a study says: its answers and the first block of its first table."""
    from rich.console import Console

    _summarise(root, decided, Console(file=answers(), width=console_width(), highlight=False))


def summary_text(root: Storage, decided: DecidedPlan, width: int) -> str:
    """Return the same as plain text of so many columns."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(), width=width, highlight=False, color_system=None, force_terminal=False
    )
    _summarise(root, decided, console)
    assert isinstance(console.file, io.StringIO), "it was made above"
    return console.file.getvalue()


def _summarise(root: Storage, decided: DecidedPlan, console: "Console") -> None:
    from jobs.comparing.answers import answers
    from jobs.comparing.equal_dose import at_doses
    from jobs.comparing.summary import summary

    for job in comparisons(decided):
        view = job.params_as(View)
        comparison = at_doses(collect_measured(root, decided, job), view)
        if len(comparison.gathered):
            table = comparison.table(view)
            shown = summary(answers(comparison, view), table, console.width)
            console.print(shown, crop=False)
            return
        console.print(f"{job.label}: nothing was measured yet", markup=False, soft_wrap=True)
