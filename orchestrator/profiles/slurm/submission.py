"""Submits a study to SLURM: plans it, cuts it, writes what is to run, and queues it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cluster.delivery.packages import keep_packages
from cluster.errors import UserError
from cluster.slurm import queue
from cluster.slurm.batch_script import write_script
from cluster.slurm.refusals import explain_wait, never_starts
from jobs.worker.versions import PACKAGES, code_commit
from orchestrator.before_running import check_before_running
from orchestrator.budget.budget import Budget
from orchestrator.budget.spending import spent_on
from orchestrator.chaos import words_of_request
from orchestrator.console import note, say, say_json
from orchestrator.dispatch.selection import selected_to_run
from orchestrator.notices.chosen_ways import read_ways
from orchestrator.permission.confirmation import allowed_keys, ask_at_terminal
from orchestrator.permission.own_files import kept_code_place
from orchestrator.plan.allocation_memory import MemoryAsked, ask_memory
from orchestrator.plan.allocation_time import TimeAsked, ask_time, slurm_time
from orchestrator.plan.allocations import Allocation, NodeOffer, cut, stage_needs
from orchestrator.plan.budget_forecast import why_too_small
from orchestrator.plan.decided_plan import DecidedPlan, Purpose, decide, plan_study
from orchestrator.plan.decisions import JobDecision
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.revisions import remember_revisions
from orchestrator.plan.study_folder import write_study, written_token
from orchestrator.profiles.kind import LaunchRequest, PlannedAllocation, describe_allocation
from orchestrator.profiles.node_prices import prices_of
from orchestrator.profiles.slurm.fields import SlurmProfile
from orchestrator.profiles.slurm.queueing import (
    PreparedAllocation,
    require_not_queued,
    submit_all,
)
from orchestrator.profiles.slurm.scripts import PROFILE_COPY, ScriptFacts, batch_request
from orchestrator.records.history import read_history
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.lock import study_lock, submission_lock
from orchestrator.records.submissions import (
    Submission,
    SubmittedAllocation,
    files_of,
    job_ids,
    kept_study,
    write_submission,
)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What one allocation asks for."""

    allocation: Allocation
    """Its stages and nodes."""
    time: TimeAsked
    """Its time limit."""
    memory: MemoryAsked
    """Host memory of each node."""
    planned: PlannedAllocation
    """The same for a plan."""


def submit_study(profile: SlurmProfile, request: LaunchRequest) -> int:
    """Submit what is to run of a study; return 0 once it is in the queue, or nothing is to run.

    Raises:
        UserError: something in the study is wrong, SLURM refuses what the profile asks for, or the
            study is in the queue already.
        SurroundingsError: the lock is held, the root is not writable, SLURM does not answer.
    """
    root, study, options = request.root, request.study, request.options
    if not profile.nodes:
        raise UserError(
            "the profile says nothing of nodes, so nothing can be asked for",
            where=f"profile {request.name!r}, nodes",
            hint="add `nodes:` to it; `deltascale profile new` shows how",
        )
    require_not_queued(root, study.name)
    decided = _plan(profile, request)
    to_run = selected_to_run(decided, options.only)
    if not to_run:
        say(f"nothing to do: no job of {study.name!r} is to run")
        return 0
    ask = None if options.json else ask_at_terminal()
    revisions = check_before_running(
        root,
        decided.plan,
        to_run,
        permit=partial(allowed_keys, root, study.name, ask=ask),
        permitted=[decision.job for decision in to_run],
        warn=note,
    )
    for text in _notes_on_budget(profile, request, decided, to_run):
        note(f"warning: {text}")
    identifier = new_launch_id(root, study.name)
    takeover = options.takeover
    with submission_lock(root, study.name, identifier, takeover=takeover):
        require_not_queued(root, study.name)  # another may have come until now
        above = written_token(root, study.name)
        with study_lock(root, study.name, identifier, takeover=takeover, above=above) as held:
            remember_revisions(root, revisions.resolved)
            decided = _plan(profile, request)
            write_study(root, decided.plan, plan_document(decided.plan, decided.decisions), held)
        submission, prepared = _prepare(profile, request, decided, identifier)
        submit_all(root, study.name, submission, prepared, chain=_chain(profile))
    _print_queued(request, submission)
    return 0


def _plan(profile: SlurmProfile, request: LaunchRequest) -> DecidedPlan:
    root, study = request.root, request.study
    plan = plan_study(root, study, purpose=Purpose.LAUNCH)
    past = read_history(root, study.name)
    return decide(plan, root, past, fresh=request.fresh, machines=profile.machines)


def _notes_on_budget(
    profile: SlurmProfile,
    request: LaunchRequest,
    decided: DecidedPlan,
    to_run: Sequence[JobDecision],
) -> list[str]:
    prices = prices_of(profile)
    words = getattr(request.options, "budget", None) or ()
    budget = Budget.of_words(words, prices.currency if prices else None)
    if not budget:
        return []
    spent = spent_on(budget, request.root, decided.history)
    return why_too_small(budget, to_run, spent, prices)


def _chain(profile: SlurmProfile) -> int:
    return profile.limits.allocations if profile.limits.again == "chain" else 1


def _cut(
    profile: SlurmProfile, decisions: Sequence[JobDecision], *, is_selected: bool
) -> list[Allocation]:
    """Cut what is to run into allocations; what a user selects stays in one, as it was selected."""
    offers = [NodeOffer(node=one.node, count=one.count, price=one.price) for one in profile.nodes]
    parts = cut(stage_needs(decisions), offers)
    if not is_selected or len(parts) < 2:
        return parts
    largest = max(parts, key=lambda part: (offers[part.shape].node.num_gpus, part.num_nodes))
    return [replace(largest, stages=tuple(stage for part in parts for stage in part.stages))]


def plan_allocations(
    profile: SlurmProfile, decided: DecidedPlan, only: Sequence[str] = ()
) -> list[_Asked]:
    """Cut what is to run, and choose what each allocation asks for; touches no cluster."""
    chosen = []
    decisions, by_key, past = selected_to_run(decided, only), decided.plan.by_key, decided.history
    for allocation in _cut(profile, decisions, is_selected=bool(only)):
        shape = profile.nodes[allocation.shape]
        offer = NodeOffer(node=shape.node, count=shape.count)
        time = ask_time(allocation, offer, decisions, by_key, past, profile.limits.time)
        memory = ask_memory(allocation, offer, decisions, by_key, past)
        planned = PlannedAllocation(
            stages=allocation.stages,
            nodes=allocation.num_nodes,
            partition=shape.partition or profile.limits.partition,
            time=None if time.seconds is None else slurm_time(time.seconds),
            why=time.why,
        )
        chosen.append(_Asked(allocation=allocation, time=time, memory=memory, planned=planned))
    return chosen


def _prepare(
    profile: SlurmProfile, request: LaunchRequest, decided: DecidedPlan, identifier: str
) -> tuple[Submission, list[PreparedAllocation]]:
    """Write everything that the queue will run, and what is known of it."""
    root, study = request.root, request.study
    folder = files_of(root, study.name, identifier)
    folder.mkdir(parents=True, exist_ok=True)
    facts = ScriptFacts(
        study=study.name,
        submission=identifier,
        root=str(Path(root.url).resolve()) if root.is_local else root.url,
        folder=folder,
        code=keep_packages(PACKAGES, kept_code_place(), code_commit() or ""),
        only=request.options.only,
        is_fresh=request.fresh,
        patience=getattr(request.options, "patience", None),
        budget=getattr(request.options, "budget", None) or (),
        chaos=words_of_request(request.options),
        hang_after=getattr(request.options, "hang_after", None) or (),
        # What they name need not be on this login node, which tells nobody.
        ways=read_ways([*profile.notify, *getattr(request.options, "notify", ())]),
    )
    (folder / PROFILE_COPY).write_text(request.text or "", encoding="utf-8")
    allocations = plan_allocations(profile, decided, request.options.only)
    prepared = []
    for number, one in enumerate(allocations, start=1):
        place = (number, len(allocations))
        asked = batch_request(profile, facts, one.allocation, place, one.time, one.memory)
        script = folder / f"{number}.sbatch"
        script.write_text(write_script(asked), encoding="utf-8")
        (folder / str(number)).mkdir(exist_ok=True)
        prepared.append(PreparedAllocation(allocation=one.allocation, request=asked, script=script))
    submission: Submission = {
        "id": identifier,
        "at": time.time(),
        "profile": request.name,
        "file": study.file.name,
        "folder": str(study.folder),
        "entries": entry_digests(decided),
        "allocations": [_document(one) for one in prepared],
    }
    root.write(kept_study(study.name, identifier), study.file.text.encode())
    write_submission(root, study.name, submission)
    return submission, prepared


def entry_digests(decided: DecidedPlan) -> dict[str, str]:
    """Return file -> SHA-256 of each entry that a study brings along."""
    own = decided.plan.own.codes
    return {path: code.digests[path] for path, code in own.items()}


def _document(prepared: PreparedAllocation) -> SubmittedAllocation:
    asked = prepared.request
    return {
        "stages": list(prepared.allocation.stages),
        "jobs": [],
        "nodes": asked.nodes.count,
        "partition": asked.partition,
        "time": asked.time.value if asked.time else None,
        "script": str(prepared.script),
        "log": asked.output,
    }


def _print_queued(request: LaunchRequest, submission: Submission) -> None:
    """Say what was queued: one id, where the script is, and whether it can ever start."""
    allocations = submission["allocations"]
    first = allocations[0]["jobs"][0]
    jobs = queue.look(job_ids(submission))
    if request.options.json:
        say_json(
            {
                "study": request.study.name,
                "state": "queued",
                "job": first,
                "submission": submission["id"],
                "allocations": allocations,
            }
        )
    else:
        say(f"{request.study.name}: job {first} is in the queue of SLURM")
        for number, allocation in enumerate(allocations, start=1):
            say(f"  {_allocation_text(number, allocation)}")
        say(f"script:  {allocations[0]['script']}")
        say(f"log:     {allocations[0]['log'].replace('%j', first)}")
        say(f"watch:   `deltascale status {request.study.name}`")
    for job in jobs.values():
        if job.state == "PENDING" and never_starts(job.reason):
            note(f"warning: job {job.id}: {explain_wait(job.reason)}")


def _allocation_text(number: int, allocation: SubmittedAllocation) -> str:
    """Return one line on an allocation: its ids, nodes, limit and stages."""
    jobs = allocation["jobs"]
    ids = jobs[0] if len(jobs) == 1 else f"{jobs[0]} to {jobs[-1]}, one after another"
    nodes, partition, time = allocation["nodes"], allocation["partition"], allocation["time"]
    return f"{number}. {ids}: {describe_allocation(nodes, partition, time, allocation['stages'])}"
