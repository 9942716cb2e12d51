"""What verbs print of a study: its plan by stage, and its comparison tables."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from cluster.storage import Storage
from jobs.comparing.view import View
from orchestrator.console import say
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import RUNS, Decision, JobDecision
from orchestrator.plan.disk_space import gigabytes
from orchestrator.views.study_views import compared, comparisons

_WIDTH_WHEN_PIPED = 200
_EXAMPLES = 3
_MOST_LAYOUTS = 8


def show_plan(explained: Sequence[JobDecision], *, every_job: bool) -> None:
    """The DAG by stage: how many jobs of which decision, and why, a few each or all."""
    for stage, group in groupby(explained, key=lambda each: each.job.stage):
        members = list(group)
        counts = Counter(each.decision for each in members)
        told = ", ".join(f"{counts[found]} {found.value}" for found in Decision if counts[found])
        say(
            f"{stage:<14} {members[0].job.kind:<11} {len(members):>6} jobs   {told}{_size(members)}"
        )
        for told in _layouts(members):
            say(f"    {told}")
        shown = _worth_showing(members) if not every_job else members
        for each in shown:
            say(f"    {each.job.key16}  {each.decision.value:<8} {each.job.label}   {each.why}")
            if each.fit is not None and each.fit.refusal is None:
                say(f"        {laid_out(each.fit.execution, each.fit.peak_memory_gb)}")
        left = sum(each.decision is not Decision.REUSE for each in members) - len(shown)
        if left > 0 and shown:
            say(f"    … and {left} more (--all shows every job)")


def _layouts(members: Sequence[JobDecision]) -> list[str]:
    """How jobs are laid out and on how many GPUs, each way once, the most jobs first."""
    ways = Counter(
        f"{each.fit.why}{'' if each.fit.hours is None else f', {hours_told(each.fit.hours)}'}"
        for each in {each.job.key: each for each in members}.values()
        if each.decision in RUNS and each.fit is not None and each.fit.why
    )
    told = [f"{count:>6} x  {way}" for way, count in ways.most_common(_MOST_LAYOUTS)]
    left = len(ways) - len(told)
    return [*told, f"        … and {left} other layouts"] if left > 0 else told


def hours_told(hours: float) -> str:
    """`3.2 h`, or minutes below one."""
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def laid_out(execution: Mapping[str, Any], peak_memory_gb: float | None) -> str:
    """`engine=zero2 num_ranks=8, up to 61.2 GB`: what a kind chose for a job."""
    chosen = " ".join(f"{name}={json.dumps(value)}" for name, value in execution.items())
    peak = "" if peak_memory_gb is None else f", up to {peak_memory_gb:.1f} GB each"
    return chosen.replace('"', "") + peak


def _size(members: Sequence[JobDecision]) -> str:
    """What a stage may write, as far as its jobs can tell."""
    to_run = {each.job.key: each.most_bytes for each in members if each.decision in RUNS}
    known = [size for size in to_run.values() if size is not None]
    if not known:
        return ""
    unknown = f", {len(to_run) - len(known)} not known yet" if len(known) < len(to_run) else ""
    return f"   up to {gigabytes(sum(known))}{unknown}"


def _worth_showing(members: Sequence[JobDecision]) -> list[JobDecision]:
    """Changed, stale, failed and blocked jobs need a word; new and reused ones speak for all."""
    quiet = (Decision.REUSE, Decision.NEW)
    return [each for each in members if each.decision not in quiet][:_EXAMPLES]


def show_tables(root: Storage, decided: DecidedPlan) -> None:
    """Every comparison of a study, as wide as the terminal."""
    from rich.console import Console

    from jobs.comparing.comparison import terminal_view

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_WHEN_PIPED
    console = Console(width=width, highlight=False)
    for job in comparisons(decided):
        comparison = compared(root, decided, job)
        if not len(comparison.gathered):
            say(f"{job.label}: nothing was measured yet")
            continue
        console.print(terminal_view(comparison.table(job.params_as(View)), width))
