"""Verb `status`: how far a study is, what every unfinished job waits for, and when it may end."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from cluster.errors import DeltascaleError
from cluster.storage import Storage
from orchestrator.console import say, say_json
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from orchestrator.study.study import Study

ORDER = 60
HELP = "how far a study is and why each unfinished job waits; all studies when none is named"

_REFRESH_S = 2.0
_MOST_SHOWN = 40


def arguments(parser: argparse.ArgumentParser) -> None:
    """STUDY, and whether to go on looking."""
    parser.add_argument(
        "study", nargs="?", metavar="STUDY", help="a study file or name; all of the root if absent"
    )
    parser.add_argument("--watch", action="store_true", help="refresh until nothing runs")


def run(options: argparse.Namespace) -> int:
    """Print once, or until the launch ends."""
    root = chosen_root(options)
    while True:
        found = _found(root, options.study)
        if options.json:
            say_json(found[0] if options.study else found)
        else:
            for one in found:
                _show(one, details=options.study is not None)
            if not found:
                say(f"no study has been launched under {root.url}")
        if not options.watch or not any(one["state"] == "running" for one in found):
            return 0
        time.sleep(_REFRESH_S)


def _found(root: Storage, named: str | None) -> list[dict[str, Any]]:
    from orchestrator.plan.decided_plan import find_study
    from orchestrator.plan.study_folder import known_studies

    if named is not None:
        return [_status(root, find_study(root, named))]
    return [_status_or_error(root, name) for name in known_studies(root)]


def _status(root: Storage, study: "Study") -> dict[str, Any]:
    from orchestrator.plan.decided_plan import decide_plan
    from orchestrator.plan.decisions import Decision
    from orchestrator.views.status import status_of

    decided = decide_plan(root, study)
    done = decided.keys(Decision.REUSE)
    return status_of(root, study.name, decided.plan.jobs, done=done, past=decided.history)


def _status_or_error(root: Storage, name: str) -> dict[str, Any]:
    from orchestrator.plan.study_folder import open_study
    from orchestrator.text import first_line

    try:
        return _status(root, open_study(root, name))
    except DeltascaleError as fault:
        error = fault.error
    except Exception as fault:  # the boundary: one damaged study must not hide the others
        error = f"{type(fault).__name__}: {fault}"
    return {"study": name, "state": "unreadable", "error": first_line(error)}


def _show(one: dict[str, Any], *, details: bool) -> None:
    from orchestrator.text import duration
    from orchestrator.views.text_output import layout_text

    if one["state"] == "unreadable":
        say(f"{one['study']}: unreadable; {one['error']}")
        return
    jobs = one["jobs"]
    told = ", ".join(f"{count} {state}" for state, count in jobs.items() if count)
    eta = f", about {duration(one['eta_seconds'])} left" if one["eta_seconds"] else ""
    say(f"{one['study']}: {one['state']}; {jobs['done']}/{sum(jobs.values())} done ({told}){eta}")
    say(
        f"  {one['attempts']} attempts in {one['launches']} launches, "
        f"{duration(one['seconds_used'])} of work, {one['gpu_hours_used']} GPU-hours"
    )
    if one["launch"] and one["launch"]["held_by"]:
        say(f"  running: {one['launch']['held_by']}")
    if not details:
        return
    for job in one["unfinished"][:_MOST_SHOWN]:
        cell = ",".join(f"{axis}={value}" for axis, value in job["cell"].items())
        doing = f" {job['doing']}" if job["doing"] else ""
        share = f" {100 * job['fraction']:.0f} %" if job["fraction"] is not None else ""
        say(
            f"  {job['state']:<8} {job['key'][:16]} {job['stage']}[{cell}] "
            f"{job['why']}{doing}{share}"
        )
        if job["state"] == "running" and job["fitted_by"]:
            say(f"      {layout_text(job['execution'], job['peak_memory_gb'])}; {job['fitted_by']}")
    if len(one["unfinished"]) > _MOST_SHOWN:
        say(f"  … and {len(one['unfinished']) - _MOST_SHOWN} more (--json lists all)")
