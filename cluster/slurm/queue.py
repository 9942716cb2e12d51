"""What the queue says of jobs: `squeue`, else what SLURM still remembers of them, else accounting.

A finished job leaves `squeue` after minutes (`MinJobAge`); a site need not keep accounts.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.slurm.commands import ask, has_command, lines_of
from cluster.slurm.refusals import explain_refusal, explain_wait

_QUICK_S = 5.0
"""How long a look may take that a user waits for."""
_ID = re.compile(r"[0-9]{1,12}")
ENDED = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "TIMEOUT",
        "REVOKED",
        "SPECIAL_EXIT",
    ]
)
"""States in which nothing more comes of a job by itself."""


@dataclass(frozen=True, kw_only=True)
class QueuedJob:
    """A job, as SLURM sees it."""

    id: str
    """Its id."""
    state: str
    """Its state, in SLURM's word: `PENDING`, `RUNNING`, `COMPLETED`, …"""
    reason: str = ""
    """Why it waits, or the nodes that it has; empty where nothing is said."""
    limit: str = ""
    """Its time limit, where the queue says it."""
    start: str = ""
    """When it began, or is expected to."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self.state in ENDED

    def describe(self) -> str:
        """Return the text `4711 PENDING: waits for free nodes (Resources)`."""
        why = explain_wait(self.reason) if self.state == "PENDING" else self.reason
        return f"{self.id} {self.state}{f': {why}' if why else ''}"


def look(ids: Iterable[str], timeout_s: float = _QUICK_S) -> Mapping[str, QueuedJob]:
    """Return id -> job of those that SLURM knows something of; those it does not are absent.

    Nothing is raised: on a machine without SLURM, or where it does not answer, nothing is known.
    """
    wanted = [job for job in ids if _ID.fullmatch(job)]
    if not wanted or not has_command("squeue"):
        return {}
    jobs = {job.id: job for job in _jobs(lines_of(_squeue(wanted), timeout_s), wanted)}
    left = [job for job in wanted if job not in jobs]
    if left and has_command("sacct"):
        jobs.update({job.id: job for job in _in_accounts(left, timeout_s)})
    return jobs


def alive(ids: Iterable[str], scripts: Collection[str] = ()) -> list[QueuedJob]:
    """Return the jobs in the queue that are not over.

    Args:
        ids: ids of jobs.
        scripts: paths of batch scripts: jobs of this user that run one of them count, too.

    Raises:
        SurroundingsError: the queue does not answer, so nobody knows.
    """
    wanted = [job for job in ids if _ID.fullmatch(job)]
    wanted += [job for job in ids_of_scripts(scripts) if job not in wanted]
    if not wanted:
        return []
    return [job for job in _jobs(_answer(_squeue(wanted)), wanted) if not job.is_over]


def ids_of_scripts(scripts: Collection[str]) -> list[str]:
    """Return the ids of this user's jobs in the queue that run one of these batch scripts.

    Args:
        scripts: their paths, as sbatch was given them.

    Raises:
        SurroundingsError: the queue does not answer, so nobody knows.
    """
    if not scripts:
        return []
    lines = _answer(["squeue", "-h", "-u", str(os.getuid()), "-o", "%A|%o"])
    parts = (line.strip().partition("|") for line in lines)
    return [job for job, _, script in parts if script in scripts and _ID.fullmatch(job)]


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs of this user. Raises SurroundingsError where SLURM does not take it."""
    wanted = [job for job in ids if _ID.fullmatch(job)]
    if not wanted:
        return
    answer = ask("scancel", *wanted)
    is_gone = "Invalid job id" in answer.errors or "already completed" in answer.errors
    if answer.code and not is_gone:
        raise SurroundingsError(explain_refusal(answer.errors), where="scancel")


def is_requeue_allowed(job: str) -> bool:
    """Tell whether SLURM will queue a job again when asked; a site may take that back silently."""
    text = "\n".join(lines_of(["scontrol", "show", "job", "-o", job], _QUICK_S))
    match = re.search(r"\bRequeue=(\d)", text)
    return match is None or match[1] != "0"


def _answer(words: Sequence[str]) -> list[str]:
    """Return the lines that squeue prints; none of jobs that it does not know."""
    answer = ask(*words)
    if answer.code and "Invalid job id" not in answer.errors:
        raise SurroundingsError(
            explain_refusal(answer.errors), where=words[0], fault_class=FaultClass.CLUSTER
        )
    return answer.output.splitlines()


def _squeue(ids: Sequence[str]) -> list[str]:
    return ["squeue", "-h", "-t", "all", "-o", "%A|%T|%r|%l|%S|%N", "-j", ",".join(ids)]


def _jobs(lines: Iterable[str], ids: Collection[str]) -> list[QueuedJob]:
    jobs = []
    for line in lines:
        parts = line.split("|", 5)
        if len(parts) == 6 and parts[0] in ids:
            id_, state, reason, limit, start, nodes = parts
            reason = "" if reason == "None" else reason
            jobs.append(
                QueuedJob(
                    id=id_,
                    state=state,
                    reason=nodes if state == "RUNNING" else reason,
                    limit=limit,
                    start="" if start == "N/A" else start,
                )
            )
    return jobs


def _in_accounts(ids: Sequence[str], timeout_s: float) -> list[QueuedJob]:
    words = ["sacct", "-n", "-P", "-X", "-o", "JobIDRaw,State,ExitCode", "-j", ",".join(ids)]
    jobs = []
    for line in lines_of(words, timeout_s):
        parts = line.split("|")
        if len(parts) == 3 and parts[0] in ids and parts[1]:
            state, _, who = parts[1].partition(" ")  # "CANCELLED by 1000"
            code = "" if parts[2] == "0:0" else f"exit code {parts[2].partition(':')[0]}"
            jobs.append(QueuedJob(id=parts[0], state=state, reason=who or code))
    return jobs
