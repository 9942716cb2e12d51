"""What is said of the jobs that a launch would run: what leaves for which host; what kinds say."""

from collections.abc import Sequence

from pydantic import BaseModel

from cluster.errors import UserError
from jobs.kind import KINDS, Kind
from jobs.service.key_uses import host_uses, may_ask_hosts
from orchestrator.plan.decisions import JobDecision
from orchestrator.plan.joined_notes import join_notes
from orchestrator.plan.plan import Plan
from orchestrator.plan.upstream_facts import UpstreamFacts


def notes_before_running(plan: Plan, to_run: Sequence[JobDecision]) -> list[str]:
    """Return the notes on jobs that a launch would run, with file and line.

    Each is said once for all jobs of a stage, also where its numbers differ. Kinds say nothing of
    jobs whose data are not here.

    Raises:
        UserError: a job would refuse what it is given; with file and line.
    """
    facts = UpstreamFacts(plan.by_key, lambda job: None)
    notes: dict[str, list[str]] = {}
    for decision in to_run:
        job = decision.job
        kind = KINDS.find(job.kind)
        line = plan.study.where("stages", job.stage)
        model: type[BaseModel] = kind.Params
        if may_ask_hosts(model):
            uses = sorted(host_uses(job.params_as(model)))
            notes.setdefault(line, []).extend(f"it sends {use.sent} to {use.host}" for use in uses)
        if decision.absent or not kind.overrides(Kind.notes):
            continue
        try:
            texts = kind.notes(job.params_as(kind.Params), facts.inputs(job))
        except UserError as fault:
            where = f"{line}, {fault.where}" if fault.where else line
            raise fault.at(where) from None
        notes.setdefault(line, []).extend(texts)
    return [f"{line}: {text}" for line, of_stage in notes.items() for text in join_notes(of_stage)]
