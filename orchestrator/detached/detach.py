"""Begins a launch that goes on without this command: checked here, then run by another process.

What can be refused is refused here, while somebody reads it. The study is kept as it is now; a
later edit of its file changes nothing of what was begun.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.before_running import check_before_running
from orchestrator.console import note, say, say_json
from orchestrator.detached import local_process, ray_job
from orchestrator.detached.following import describe_way
from orchestrator.detached.handover import Handover
from orchestrator.dispatch.selection import selected_to_run
from orchestrator.permission.confirmation import allowed_keys, ask_at_terminal
from orchestrator.plan.decided_plan import DecidedPlan, Purpose, decide, plan_study
from orchestrator.plan.decisions import JobDecision
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.revisions import remember_revisions
from orchestrator.plan.study_folder import write_study, written_token
from orchestrator.records.detached import (
    DetachedLaunch,
    ending_of,
    kept_detached,
    kept_profile,
    latest_detached,
    log_of_detached,
    runner_of,
    stop_detached,
    write_detached,
)
from orchestrator.records.history import read_history
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.lock import current_holder, study_lock, submission_lock


def detach(handover: Handover) -> int:
    """Begin the launch and say how it is followed; return 0, also where nothing is to run.

    Raises:
        UserError: something in the study is wrong, or cannot be had where it would run.
        SurroundingsError: the study runs already, or what is to run it cannot be had.
    """
    root, study = handover.root, handover.study
    require_not_running(root, study.name)
    decided = _decide(handover)
    to_run = selected_to_run(decided, handover.options.only)
    if not to_run:
        say(f"nothing to do: no job of {study.name!r} is to run")
        return 0
    ask = None if handover.options.json else ask_at_terminal()
    revisions = check_before_running(
        root,
        decided.plan,
        to_run,
        permit=partial(allowed_keys, root, study.name, ask=ask),
        permitted=[decision.job for decision in to_run],
        warn=note,
    )
    identifier, takeover = new_launch_id(root, study.name), handover.options.takeover
    with submission_lock(root, study.name, identifier, takeover=takeover):
        require_not_running(root, study.name)  # another may have come until now
        above = written_token(root, study.name)
        with study_lock(root, study.name, identifier, takeover=takeover, above=above) as held:
            remember_revisions(root, revisions.resolved)
            decided = _decide(handover)
            write_study(root, decided.plan, plan_document(decided.plan, decided.decisions), held)
        launch = _keep(handover, decided, identifier)
        _begin(handover, launch, to_run)
    _print_begun(handover, launch)
    return 0


def require_not_running(root: Storage, study: str) -> None:
    """Refuse to begin a study twice, as far as the root says what runs.

    Raises:
        SurroundingsError: a launch of it runs, detached or not.
    """
    latest, holder = latest_detached(root, study), current_holder(root, study)
    runner = latest and runner_of(root, study, latest["id"])
    is_over = latest is None or ending_of(root, study, latest["id"]) is not None
    if holder is None and (is_over or runner is None or not runner.is_alive):
        return
    named = f"{describe_way(latest)}, " if latest and not is_over else ""
    raise SurroundingsError(
        f"{study!r} is running already: {named}{holder or runner}",
        where=root.url,
        hint=f"watch it with `deltascale status {study}`, or end it with "
        f"`deltascale cancel {study}`; the same command goes on then",
        fault_class=FaultClass.NO_ROOM,
    )


def _decide(handover: Handover) -> DecidedPlan:
    root, study = handover.root, handover.study
    plan = plan_study(root, study, purpose=Purpose.LAUNCH)
    return decide(plan, root, read_history(root, study.name), fresh=handover.fresh)


def _keep(handover: Handover, decided: DecidedPlan, identifier: str) -> DetachedLaunch:
    """Write what is begun, as it is now."""
    root, study, profile = handover.root, handover.study, handover.profile
    is_job = handover.place.address is not None
    own = decided.plan.own.codes
    launch: DetachedLaunch = {
        "id": identifier,
        "at": time.time(),
        "profile": profile.name if profile else ("ray" if is_job else "local"),
        "file": study.file.name,
        "folder": str(study.folder),
        "entries": {path: code.digests[path] for path, code in own.items()},
        "way": "ray" if is_job else "local",
        "job": ray_job.job_name(study.name, identifier) if is_job else "",
        "address": handover.place.address,
    }
    root.write(kept_detached(study.name, identifier), study.file.text.encode())
    if profile is not None and profile.file is not None:
        root.write(kept_profile(study.name, identifier), profile.file.text.encode())
    write_detached(root, study.name, launch)
    return launch


def _begin(handover: Handover, launch: DetachedLaunch, to_run: Sequence[JobDecision]) -> None:
    """Begin it; what was not begun is written down as refused, and does not begin later either."""
    begin = ray_job.begin if launch["way"] == "ray" else local_process.begin
    try:
        begin(handover, launch, to_run)
    except BaseException as fault:
        launch["refused"] = getattr(fault, "error", type(fault).__name__)
        with suppress(SurroundingsError):  # one that is slow to begin would be nobody's
            stop_detached(handover.root, handover.study.name, launch["id"])
        raise
    finally:
        write_detached(handover.root, handover.study.name, launch)


def _print_begun(handover: Handover, launch: DetachedLaunch) -> None:
    study = handover.study.name
    log = log_of_detached(study, launch["id"])
    if handover.options.json:
        say_json(
            {
                "study": study,
                "state": "detached",
                "submission": launch["id"],
                "way": launch["way"],
                "job": launch["job"] or None,
                "address": launch["address"],
                "log": log,
            }
        )
        return
    place = ""
    if handover.options.root or handover.options.on:
        place = f" --root {handover.root_place}"
    say(f"{study}: goes on without this terminal: {describe_way(launch)}")
    say(f"watch:   `deltascale status {study} --watch{place}`")
    say(f"output:  `deltascale logs {study}{place}`")
    say(f"end:     `deltascale cancel {study}{place}`")
