"""What is looked at before anything runs or is queued: keys, the hub, the output root."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.hub.offline import is_hub_offline
from jobs.mirror.variables import require_known_mode
from orchestrator.fetching.needs import require_fetched
from orchestrator.permission.own_code import remember_launched
from orchestrator.plan.decisions import JobDecision
from orchestrator.plan.namesake import notes_on_namesake
from orchestrator.plan.notes_before_running import notes_before_running
from orchestrator.plan.plan import Plan
from orchestrator.plan.revisions import resolve_revisions


@dataclass(frozen=True, kw_only=True)
class Revisions:
    """What moving names of a study stand for, and whether the hub was asked."""

    resolved: Mapping[str, str]
    """Name -> revision."""
    is_offline: bool
    """Whether the hub is left alone: `fetch` filled the root."""


def check_before_running(
    root: Storage,
    plan: Plan,
    to_run: Iterable[JobDecision],
    *,
    permit: Callable[[Sequence[Job]], object],
    permitted: Sequence[Job],
    warn: Callable[[str], None],
) -> Revisions:
    """Check what a launch would fail on later, here or in a queue; writes nothing but who it is of.

    Args:
        root: the output root.
        plan: the plan of the study.
        to_run: decisions of the jobs that are to run.
        permit: is given the jobs that may have to run; raises UserError where the user does not
            allow what they send.
        permitted: those jobs.
        warn: takes notes for the user.

    Raises:
        UserError: the user does not allow it, `WANDB_MODE` is no mode, or something of the hub is
            not in the root and may not be asked for.
        SurroundingsError: the hub does not answer, or the root is not writable.
    """
    require_known_mode()
    to_run = list(to_run)
    permit(permitted)
    is_offline = is_hub_offline(root)
    if is_offline:
        require_fetched(root, [item.job for item in to_run], plan.revisions, plan.study.words)
    for text in [*notes_on_namesake(root, plan), *notes_before_running(plan, to_run)]:
        warn(f"note: {text}")
    resolved = plan.revisions if is_offline else resolve_revisions(plan.jobs, plan.revisions)
    root.require_writable()
    remember_launched(plan.study, root)
    return Revisions(resolved=resolved, is_offline=is_offline)
