"""Failures in sentences: what ended, where, and by which numbers."""

from cluster.fault_classes import FaultClass
from orchestrator.diagnosis.evidence import Evidence
from orchestrator.text import first_line

WORDS = {
    FaultClass.MISTAKE: "a mistake in study or data",
    FaultClass.PROGRAM: "an error of the program",
    FaultClass.OUT_OF_MEMORY: "out of memory",
    FaultClass.HUNG: "no progress",
    FaultClass.DIVERGED: "the run diverged",
    FaultClass.HOST_MEMORY: "a neighbour took the host's memory",
    FaultClass.LOST_PROCESS: "its process died",
    FaultClass.LOST_NODE: "its node was lost",
    FaultClass.CLUSTER: "the cluster was lost",
    FaultClass.PREEMPTED: "its machine was wanted back",
    FaultClass.GPU: "a GPU is out of order",
    FaultClass.GPU_TAKEN: "others hold its GPU",
    FaultClass.PORT: "a port was in use",
    FaultClass.COLLATERAL: "another rank went first",
    FaultClass.STORAGE_FULL: "no room on the storage",
    FaultClass.STORAGE_AWAY: "the storage did not answer",
    FaultClass.STORAGE_READ_ONLY: "the storage took no writes",
    FaultClass.PERMISSION: "permission was refused",
    FaultClass.NETWORK: "the network",
    FaultClass.NO_ROOM: "others hold what it needs",
    FaultClass.UNKNOWN: "an unknown fault",
}
"""What each class of fault is, in words for people."""


def describe_failure(evidence: Evidence) -> str:
    """Return `out of memory on hpc-3 GPU 2 at step 40 of 200 (23.1 of 24 GB): message`."""
    return (
        f"{_what(evidence)}{_where(evidence)}{_numbers(evidence)}: {first_line(evidence.message)}"
    )


def _what(evidence: Evidence) -> str:
    words = WORDS[_class_of(evidence)]
    return f"{words} ({evidence.signature})" if evidence.signature else words


def _where(evidence: Evidence) -> str:
    cause = evidence.cause
    parts = [f"rank {cause.rank}"] if len(evidence.ranks) > 1 else []
    place = " ".join(part for part in (cause.node, cause.device) if part)
    parts += [f"on {place}"] if place else []
    if cause.step is not None:
        parts.append(at_step(cause.step, cause.steps, cause.unit))
    return f" {' '.join(parts)}" if parts else ""


def _numbers(evidence: Evidence) -> str:
    """Return the memory that counted, where memory did."""
    cause = evidence.cause
    if _class_of(evidence) not in (FaultClass.OUT_OF_MEMORY, FaultClass.HOST_MEMORY):
        return ""
    full = max(cause.gpus, key=lambda gpu: gpu.get("used_gb", 0.0), default=None)
    expected = evidence.expected_gb
    more = f", {expected:.1f} expected of the job" if expected else ""
    if full is not None and "total_gb" in full:
        return f" ({full.get('used_gb', 0.0):.1f} of {full['total_gb']:.1f} GB in use{more})"
    if "host_gb" in cause.memory:
        used, total = cause.memory.get("host_used_gb", 0.0), cause.memory["host_gb"]
        return f" ({used:.1f} of {total:.1f} GB of the host in use{more})"
    return ""


def at_step(step: int, steps: int | None, unit: str | None) -> str:
    """Return `at step 40 of 200`, in the unit that the job counts."""
    return f"at {unit or 'step'} {step}" + (f" of {steps}" if steps else "")


def _class_of(evidence: Evidence) -> FaultClass:
    try:
        return FaultClass(evidence.fault_class)
    except ValueError:
        return FaultClass.UNKNOWN
