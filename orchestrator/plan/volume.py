"""How many bytes a job of a plan may still leave behind, as far as its kind can tell."""

from jobs import lookup
from jobs.artifacts.job import Job
from jobs.kind import expected_bytes_of
from orchestrator.plan.upstream_facts import UpstreamFacts


def expected_bytes(job: Job, known: UpstreamFacts) -> int | None:
    """Most bytes that a job will leave; None where that is not known."""
    kind = lookup.find("kinds", job.kind)
    if not hasattr(kind, "expected_bytes"):
        return None
    return expected_bytes_of(kind, kind.Params(**job.params), known.inputs(job))
