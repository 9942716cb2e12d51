"""How many bytes a job of a plan may still leave behind, as far as its kind can tell."""

from jobs.artifacts.job import Job
from jobs.kind import KINDS, Kind
from orchestrator.plan.upstream_facts import UpstreamFacts


def expected_bytes(job: Job, known: UpstreamFacts) -> int | None:
    """Most bytes that a job will leave; None where that is not known."""
    kind = KINDS.find(job.kind)
    if not kind.overrides(Kind.expected_bytes):
        return None
    return kind.expected_bytes(job.params_as(kind.Params), known.inputs(job))
