"""Verb `plan`: show what a launch would do with each job, and why. Runs and writes nothing."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from orchestrator.console import note, say, say_json
from orchestrator.plan.machines import (
    MACHINES_GRAMMAR,
    notes_on_machines,
    notes_on_neighbours,
    parse_machines,
)
from orchestrator.verb import chosen_profile, chosen_root, study_argument

if TYPE_CHECKING:
    from orchestrator.plan.study_folder import PlanDocument
    from orchestrator.profiles.kind import PlannedAllocation

ORDER = 30
HELP = "show what a launch would do and why; spends and writes nothing"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, the machines to plan for, and whether to list every job."""
    study_argument(parser)
    parser.add_argument(
        "--machines",
        metavar="LIST",
        help=f"plan for these instead of this machine: {MACHINES_GRAMMAR}",
    )
    parser.add_argument("--all", action="store_true", help="list every job, not only what changed")


def run(options: argparse.Namespace) -> int:
    """Print the plan by stage, with what it will take and write.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: something in the study or the options is wrong.
    """
    from cluster.machine.resources import this_machine
    from orchestrator.dispatch.peak_disk import peak_disk
    from orchestrator.plan.decided_plan import Purpose, decide_plan, find_study
    from orchestrator.plan.disk_space import measure_disk_space
    from orchestrator.plan.namesake import notes_on_namesake
    from orchestrator.plan.notes_before_running import notes_before_running
    from orchestrator.plan.plan_document import plan_document
    from orchestrator.plan.retention import notes_on_retention, retention_of
    from orchestrator.plan.temporary_space import measure_temporary_space
    from orchestrator.profiles.costs import plan_costs
    from orchestrator.views.cost_output import show_costs
    from orchestrator.views.text_output import show_plan

    root = chosen_root(options)
    profile = chosen_profile(options)
    if options.machines:
        machines = parse_machines(options.machines)
    else:
        machines = [this_machine()] if profile is None else profile.machines
    decided = decide_plan(
        root,
        find_study(root, options.study),
        purpose=Purpose.FORECAST,
        machines=machines,
    )
    document = plan_document(decided.plan, decided.decisions)
    space = measure_disk_space(root, decided.decisions)
    document["totals"]["free_bytes"] = space.free_bytes
    temporary = measure_temporary_space(decided.decisions, machines)
    peak = peak_disk(decided.decisions, retention_of(decided.plan))
    document["totals"]["let_go"] = asdict(peak) if peak else None
    own = decided.plan.own.codes
    document["entries"] = {path: code.digests[path] for path, code in own.items()}
    document["notes"] = [
        *decided.plan.notes,
        *notes_on_namesake(root, decided.plan),
        *notes_on_machines(machines),
        *([] if options.machines or profile else notes_on_neighbours()),
        *notes_on_retention(decided.plan),
        *notes_before_running(decided.plan, decided.to_run),
    ]
    costs = None
    allocations: Sequence[PlannedAllocation] = ()
    if profile is not None:
        priced = () if options.machines else profile.profile.nodes
        costs = plan_costs(decided.decisions, priced, profile.profile.currency if priced else None)
        document["costs"] = {"profile": profile.name, **costs.document()}
        allocations = profile.kind.allocations(profile.profile, decided)
        document["allocations"] = [asdict(one) for one in allocations]
    if options.json:
        say_json(document)
        return 0
    show_plan(decided.decisions, every_job=options.all)
    place = options.machines or (f"profile {profile.name!r}" if profile else "this machine")
    _say_totals(document, len(decided.to_run), place)
    if decided.to_run:
        say(f"to write: {space.summary}")
    if temporary:
        say(f"in the temp folder (TMPDIR) of a node: {temporary.summary}")
    if peak and peak.num_let_go:
        say(f"to let go: {peak.summary}")
    if profile is not None and costs is not None:
        show_costs(costs, profile.name)
    for number, one in enumerate(allocations, start=1):
        say(f"{'allocations:' if number == 1 else '':<13}{number}. {one}")
    if space.warning:
        note(f"warning: {space.warning}")
    _note_absent(document)
    for text in document["notes"]:
        note(f"note: {text}")
    return 0


def _say_totals(document: "PlanDocument", num_to_run: int, place: str) -> None:
    """Print how many jobs there are of each decision, and how long they take."""
    totals = document["totals"]
    say()
    say(
        f"{totals['jobs']} jobs: {totals['reuse']} reused, {num_to_run} to run, "
        f"{totals['failed']} failed, {totals['blocked']} blocked, "
        f"{totals['will-not-fit']} will not fit {place}"
    )
    if totals["hours"] is not None:
        unknown = totals["gpu_jobs_of_unknown_hours"]
        without = totals["jobs_of_unknown_hours"] - unknown
        more = f", and {unknown} jobs of GPUs of unknown length" if unknown else ""
        more += f"; {without} jobs on processors are not counted" if without else ""
        say(
            f"to compute: {totals['hours']:.1f} h one after another, "
            f"{totals['gpu_hours']:.1f} GPU-hours{more}"
        )


def _note_absent(document: "PlanDocument") -> None:
    """Name the data that are not here, and what is not known without them."""
    from orchestrator.study.expressions import DATA_FOLDER, DATA_VARIABLE

    absent, totals = document["absent"], document["totals"]
    if not absent:
        return
    for file in absent:
        whence = document.get("whence", {}).get(file)
        note(f"not here: {file}{f' ({whence})' if whence else ''}")
    hint = ""
    if any(DATA_FOLDER in file for file in absent):
        hint = f" (export {DATA_VARIABLE}=/folder/with/the/data)"
    note(
        f"the keys of {totals['open']} of {totals['jobs']} jobs are open without them: what is "
        f"done of these jobs is not known, and `launch` needs them{hint}"
    )
