"""Verb `status`: show how far a study is, why unfinished jobs wait, and when it may end."""

import argparse
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cluster.errors import DeltascaleError
from cluster.storage import Storage
from orchestrator.console import answers, flush_or_end, say, say_json
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from orchestrator.views.standing import Standing

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
    parser.add_argument(
        "--watch", action="store_true", help="look on until nothing runs; Ctrl-C ends the watch"
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="with --watch: words only, a line when something has changed, no cursor moved",
    )
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
    standings: dict[str, Standing] = {}

    def look() -> list[_Status]:
        with _collecting_no_garbage():
            # One look at many studies holds no more than one of them at a time.
            return _statuses(root, options.study, standings if options.watch else None)

    if options.watch and not options.json:
        from orchestrator.views.watching import watch

        documents: list[_Status] = [*watch(look, answers(), plain=options.plain)]
    else:
        documents = look()
    while True:
        if options.json:
            say_json(documents[0] if options.study else documents)
        else:
            for document in documents:
                _print(document, details=options.study is not None, every_job=options.jobs)
            if not documents:
                say(f"no study has been launched under {root.url}")
        is_over = not any(
            document["state"] == "running" or (document.get("queue") or {}).get("is_queued")
            for document in documents
        )
        if not (options.watch and options.json) or is_over:
            return 0
        flush_or_end()
        time.sleep(_REFRESH_S)
        documents = look()


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Spare a search for garbage: 10,000 jobs are looked through for it, and none of them is."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _statuses(
    root: Storage, study: str | None, standings: "dict[str, Standing] | None"
) -> list[_Status]:
    """Look at one study or all; what was read of each is kept where `standings` takes it."""
    from orchestrator.records.launched_studies import known_studies
    from orchestrator.views.standing import Standing

    def standing_of(name: str) -> Standing:
        standing = Standing(root, name)
        return standing if standings is None else standings.setdefault(name, standing)

    if study is not None:
        return [standing_of(study).status()]
    return [_status_or_error(name, standing_of(name)) for name in known_studies(root)]


def _status_or_error(name: str, standing: "Standing") -> _Status:
    from orchestrator.text import first_line

    try:
        return standing.status()
    except DeltascaleError as fault:
        error, code = fault.error, fault.code
    except Exception as fault:  # the boundary: one damaged study must not hide the others
        error, code = f"{type(fault).__name__}: {fault}", "program-fault"
    return {"study": name, "state": "unreadable", "error": first_line(error), "code": code}


def _print(status: _Status, *, details: bool, every_job: bool) -> None:
    from orchestrator.text import changed_data_in_words, duration, pluralize

    if status["state"] == "unreadable":
        say(f"{status['study']}: unreadable; {status['error']}")
        return
    jobs = status["jobs"]
    counts = ", ".join(f"{count} {state}" for state, count in jobs.items() if count)
    eta = f", {status['eta']['line']}" if status["eta"] and status["attempts"] else ""
    say(
        f"{status['study']}: {status['state']}; "
        f"{jobs['done']}/{sum(jobs.values())} done ({counts}){eta}"
    )
    say(
        f"  {pluralize(status['attempts'], 'attempt')} "
        f"in {pluralize(status['launches'], 'launch')}, "
        f"{duration(status['seconds_used'])} of work, {status['gpu_hours_used']} GPU-hours"
    )
    if status["queue"]:
        say(f"  {status['queue']['line']}")
    if status["chaos"]:
        asked = f": --chaos {status['chaos']['faults']}" if status["chaos"]["faults"] else ""
        say(f"  {status['chaos']['injected']} faults were injected on purpose{asked}")
    if status["budget"]:
        say(f"  {status['budget']['ended'] or status['budget']['line']}")
    if status["launch"] and status["launch"]["held_by"]:
        say(f"  running: {status['launch']['held_by']}")
    for node in status["quarantined"]:
        until = time.strftime("%H:%M:%S", time.localtime(node["until"]))
        say(f"  node {node['node']} gets no jobs until {until}: {node['why']}")
    if status["waits_for"]:
        say(f"  {status['waits_for']['line']}")
    if status["changed_data"]:
        say(f"  {changed_data_in_words(status['changed_data'], status['study'])}")
    if status["let_go"]:
        say(f"  {status['let_go']} done jobs whose large files were let go (keep: until-read)")
    if not details:
        return
    _print_stages(status["stages"])
    for state in _MOST_LISTED:
        _print_jobs(state, status["unfinished"], every_job=every_job)
    remedies = {failure["key"]: failure["remedy"] for failure in status["failures"]}
    for remedy in dict.fromkeys(filter(None, remedies.values())):
        say(f"      what to do: {remedy}")
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
    from jobs.artifacts.job import label_of_cell
    from orchestrator.text import first_line

    jobs = [job for job in unfinished if job["state"] == state]
    listed = jobs if every_job else jobs[: _MOST_LISTED[state]]
    for job in listed:
        label = label_of_cell(job["stage"], job["cell"])
        doing = f" {job['doing']}" if job["doing"] else ""
        share = f" {100 * job['fraction']:.0f} %" if job["fraction"] is not None else ""
        why = job["why"] if every_job else first_line(job["why"])
        at = f" ({job['activity']['phase']})" if job["activity"] else ""
        say(f"  {state:<8} {job['key'][:16]} {label} {why}{at}{doing}{share}")
        if state == "running" and job["fitted_by"]:
            from orchestrator.views.text_output import layout_text

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
