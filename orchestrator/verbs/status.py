"""Verb `status`: show how far a study is, why unfinished jobs wait, and when it may end."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from cluster.errors import DeltascaleError
from cluster.storage import Storage
from orchestrator.console import say, say_json
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from orchestrator.plan.plan import Plan
    from orchestrator.study.study import Study

ORDER = 60
HELP = "how far a study is and why each unfinished job waits; all studies when none is named"

_Status = dict[str, Any]
"""What `--json` prints of one study."""
_REFRESH_S = 2.0
_MOST_SHOWN = 40


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, and whether to keep watching."""
    parser.add_argument(
        "study", nargs="?", metavar="STUDY", help="a study file or name; all of the root if absent"
    )
    parser.add_argument("--watch", action="store_true", help="refresh until nothing runs")


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
                _print(document, details=options.study is not None)
            if not documents:
                say(f"no study has been launched under {root.url}")
        is_running = any(document["state"] == "running" for document in documents)
        if not options.watch or not is_running:
            return 0
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
    from orchestrator.views.status import status_of

    decided = decide_plan(root, study, earlier=plans.get(study.name))
    plans[study.name] = decided.plan
    done = decided.keys(Decision.REUSE)
    return status_of(root, study.name, decided.plan.jobs, done=done, past=decided.history)


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


def _print(status: _Status, *, details: bool) -> None:
    from orchestrator.text import duration
    from orchestrator.views.text_output import layout_text

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
    if status["launch"] and status["launch"]["held_by"]:
        say(f"  running: {status['launch']['held_by']}")
    if not details:
        return
    for job in status["unfinished"][:_MOST_SHOWN]:
        cell = ",".join(f"{axis}={value}" for axis, value in job["cell"].items())
        doing = f" {job['doing']}" if job["doing"] else ""
        share = f" {100 * job['fraction']:.0f} %" if job["fraction"] is not None else ""
        say(
            f"  {job['state']:<8} {job['key'][:16]} {job['stage']}[{cell}] "
            f"{job['why']}{doing}{share}"
        )
        if job["state"] == "running" and job["fitted_by"]:
            say(f"      {layout_text(job['execution'], job['peak_memory_gb'])}; {job['fitted_by']}")
    if len(status["unfinished"]) > _MOST_SHOWN:
        say(f"  … and {len(status['unfinished']) - _MOST_SHOWN} more (--json lists all)")
