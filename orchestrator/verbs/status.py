"""Verb `status`: show how far a study is, why unfinished jobs wait, and when it may end."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from cluster.errors import DeltascaleError
from cluster.storage import Storage
from orchestrator.console import flush_or_end, say, say_json
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from orchestrator.plan.plan import Plan
    from orchestrator.study.study import Study

ORDER = 60
HELP = "how far a study is and why each unfinished job waits; all studies when none is named"

_Status = dict[str, Any]
"""What `--json` prints of one study."""
_REFRESH_S = 2.0
_MOST_STAGES = 14
"""With more stages, those that are done and those not begun are one line each."""
_MOST_LISTED = {"running": 8, "failed": 6}
"""Most jobs that are listed one by one, by state; `--jobs` lists all."""
_MOST_GROUPS = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, and whether to keep watching."""
    parser.add_argument(
        "study", nargs="?", metavar="STUDY", help="a study file or name; all of the root if absent"
    )
    parser.add_argument("--watch", action="store_true", help="refresh until nothing runs")
    parser.add_argument(
        "--jobs", action="store_true", help="list every job that is not done, and why"
    )


def run(options: argparse.Namespace) -> int:
    """Print the status once, or again and again until the launch ends.

    Args:
        options: the words of the command line.

    Returns:
        0, whatever the status is.

    Raises:
        UserError: there is no such study, or something in it is wrong.
    """
    root = chosen_root(options)
    plans: dict[str, Plan] = {}
    while True:
        documents = _statuses(root, options.study, plans)
        if options.json:
            say_json(documents[0] if options.study else documents)
        else:
            for document in documents:
                _print(document, details=options.study is not None, every_job=options.jobs)
            if not documents:
                say(f"no study has been launched under {root.url}")
        is_running = any(
            document["state"] == "running" or (document.get("queue") or {}).get("is_queued")
            for document in documents
        )
        if not options.watch or not is_running:
            return 0
        flush_or_end()
        time.sleep(_REFRESH_S)


def _statuses(root: Storage, study: str | None, plans: "dict[str, Plan]") -> list[_Status]:
    from orchestrator.plan.decided_plan import find_study
    from orchestrator.plan.study_folder import known_studies

    if study is not None:
        return [_status(root, find_study(root, study), plans)]
    return [_status_or_error(root, name, plans) for name in known_studies(root)]


def _status(root: Storage, study: "Study", plans: "dict[str, Plan]") -> _Status:
    from orchestrator.plan.decided_plan import decide_plan
    from orchestrator.plan.decisions import Decision
    from orchestrator.records.ledger import LaunchState
    from orchestrator.views.queued import queue_of
    from orchestrator.views.status import status_of

    decided = decide_plan(root, study, earlier=plans.get(study.name))
    plans[study.name] = decided.plan
    done = decided.keys(Decision.REUSE)
    status = status_of(root, study.name, decided.plan.jobs, done=done, past=decided.history)
    status["let_go"] = sum(item.is_let_go for item in decided.by_key.values())
    is_complete = status["state"] == LaunchState.COMPLETE.value
    return {**status, "queue": None if is_complete else queue_of(root, study.name)}


def _status_or_error(root: Storage, name: str, plans: "dict[str, Plan]") -> _Status:
    from orchestrator.plan.study_folder import open_study
    from orchestrator.text import first_line

    try:
        return _status(root, open_study(root, name), plans)
    except DeltascaleError as fault:
        error = fault.error
    except Exception as fault:  # the boundary: one damaged study must not hide the others
        error = f"{type(fault).__name__}: {fault}"
    return {"study": name, "state": "unreadable", "error": first_line(error)}


def _print(status: _Status, *, details: bool, every_job: bool) -> None:
    from orchestrator.text import duration

    if status["state"] == "unreadable":
        say(f"{status['study']}: unreadable; {status['error']}")
        return
    jobs = status["jobs"]
    counts = ", ".join(f"{count} {state}" for state, count in jobs.items() if count)
    eta = f", about {duration(status['eta_seconds'])} left" if status["eta_seconds"] else ""
    say(
        f"{status['study']}: {status['state']}; "
        f"{jobs['done']}/{sum(jobs.values())} done ({counts}){eta}"
    )
    say(
        f"  {status['attempts']} attempts in {status['launches']} launches, "
        f"{duration(status['seconds_used'])} of work, {status['gpu_hours_used']} GPU-hours"
    )
    if status["queue"]:
        say(f"  {status['queue']['line']}")
    if status["budget"]:
        say(f"  {status['budget']['ended'] or status['budget']['line']}")
    if status["launch"] and status["launch"]["held_by"]:
        say(f"  running: {status['launch']['held_by']}")
    if status["waits_for"]:
        say(f"  {status['waits_for']['line']}")
    if status["let_go"]:
        say(f"  {status['let_go']} done jobs whose large files were let go (keep: until-read)")
    if not details:
        return
    _print_stages(status["stages"])
    for state in _MOST_LISTED:
        _print_jobs(state, status["unfinished"], every_job=every_job)
    if every_job:
        _print_jobs("waiting", status["unfinished"], every_job=True)
        _print_jobs("blocked", status["unfinished"], every_job=True)
    else:
        _print_groups(status["waiting"])


def _print_stages(stages: list[_Status]) -> None:
    """Print a table of the stages; of many, those in one piece are one line for each state."""
    done = [stage for stage in stages if stage["done"] == stage["jobs"]]
    untouched = [stage for stage in stages if stage["waiting"] + stage["blocked"] == stage["jobs"]]
    listed = stages
    if len(stages) > _MOST_STAGES:
        listed = [stage for stage in stages if stage not in done and stage not in untouched]
    names = [stage["stage"] for stage in listed]
    width = max(map(len, [*names, "stage"]))
    columns = ("running", "waiting", "blocked", "failed")
    if listed:
        say(f"  {'stage':<{width}}  {'done':>11}" + "".join(f"  {name:>7}" for name in columns))
    for stage in listed:
        counts = "".join(f"  {stage[name] or '':>7}" for name in columns)
        share = f"{stage['done']}/{stage['jobs']}"
        say(f"  {stage['stage']:<{width}}  {share:>11}{counts}".rstrip())
    if listed is not stages:
        for what, group in (("done", done), ("not begun", untouched)):
            _print_stage_names(what, group)


def _print_stage_names(what: str, stages: list[_Status]) -> None:
    if stages:
        num_jobs = sum(stage["jobs"] for stage in stages)
        shown = [stage["stage"] for stage in stages[:_MOST_GROUPS]]
        more = f" and {len(stages) - len(shown)} more" if len(stages) > len(shown) else ""
        say(f"  {len(stages)} stages {what} ({num_jobs} jobs): {', '.join(shown)}{more}")


def _print_jobs(state: str, unfinished: list[_Status], *, every_job: bool) -> None:
    """Print the jobs in one state, a line for each, up to a number where not all are asked for."""
    from orchestrator.text import first_line
    from orchestrator.views.text_output import layout_text

    jobs = [job for job in unfinished if job["state"] == state]
    listed = jobs if every_job else jobs[: _MOST_LISTED[state]]
    for job in listed:
        cell = ",".join(f"{axis}={value}" for axis, value in job["cell"].items())
        doing = f" {job['doing']}" if job["doing"] else ""
        share = f" {100 * job['fraction']:.0f} %" if job["fraction"] is not None else ""
        why = job["why"] if every_job else first_line(job["why"])
        say(f"  {state:<8} {job['key'][:16]} {job['stage']}[{cell}] {why}{doing}{share}")
        if state == "running" and job["fitted_by"]:
            say(f"      {layout_text(job['execution'], job['peak_memory_gb'])}; {job['fitted_by']}")
    if len(jobs) > len(listed):
        say(f"  … and {len(jobs) - len(listed)} more {state} (--jobs lists all)")


def _print_groups(groups: list[_Status]) -> None:
    """Print what the other jobs wait for, one line for each reason."""
    from orchestrator.text import pluralize

    for group in groups[:_MOST_GROUPS]:
        stages = list(group["stages"])
        of = f" of {stages[0]}" if len(stages) == 1 else f" of {len(stages)} stages"
        say(f"  {pluralize(group['jobs'], 'job')}{of}: {group['why']}")
    if len(groups) > _MOST_GROUPS:
        left = sum(group["jobs"] for group in groups[_MOST_GROUPS:])
        say(f"  … and {pluralize(left, 'job')} for other reasons (--jobs lists all)")
