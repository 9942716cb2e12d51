"""Can the numbers of a planned comparison be read at the doses that it asks for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.errors import UserError
from jobs.comparing.measuring_kinds import expected_values
from jobs.comparing.view import View
from jobs.kind import KINDS, Upstream


def opens_snapshots(kind: str) -> bool:
    """Whether jobs of a kind open one model of a training run, which keeps its weights."""
    return KINDS.find(kind).REFERS


def notes_on_doses(view: View, gathered: Mapping[str, Upstream]) -> Sequence[str]:
    """Say which doses no gathered stage measures.

    Args:
        view: what is shown.
        gathered: stage -> what the plan knows of its first job.

    Raises:
        UserError: no gathered stage measures a model on the way of its training.
    """
    if not view.doses or not gathered:
        return ()
    dosed = [upstream for upstream in gathered.values() if _reads_snapshot(upstream)]
    if not dosed:
        raise UserError(
            f"none of the gathered stages {', '.join(gathered)} measures models of a stage of kind "
            "snapshot, so that no number can be read at a dose",
            where="at",
            hint="gather the stages that measure snapshots, or leave `at` out",
        )
    measured = {value for each in dosed for value in expected_values(each.kind, each.params)}
    lacking = {dose.name: dose.metric for dose in view.doses if dose.metric not in measured}
    return [
        f"no gathered stage measures {metric} of snapshots, from which the dose {name} is read: "
        "every number at it will be missing"
        for name, metric in lacking.items()
    ]


def _reads_snapshot(job: Upstream) -> bool:
    return opens_snapshots(job.kind) or any(_reads_snapshot(each) for each in job.inputs.values())
