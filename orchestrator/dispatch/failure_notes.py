"""What a launch notes of an attempt that failed: its diagnosis, its evidence, and a sentence.

Between `orchestrator/diagnosis/`, which knows no launch, and `job_consequences.py`, which decides.
"""

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cluster.errors import SurroundingsError
from cluster.executor import Ending, Outcome, RankEnding
from cluster.fault_classes import FaultClass
from cluster.redaction.redactor import redacted
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.worker.answer import Answer
from jobs.worker.attempt_folder import log_name
from jobs.worker.last_witness import witness_name
from orchestrator.diagnosis.diagnosis import Diagnostics, Failure
from orchestrator.diagnosis.evidence import keep_evidence
from orchestrator.diagnosis.rank_report import RankReport
from orchestrator.diagnosis.sentences import describe_failure
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.worker_messages import AttemptResult
from orchestrator.records.failure import result_of_class

_WITNESS_WITHIN_S = {True: 1.5, False: 6.0}
"""How long a death waits for what its log's keeper saw of it, on local and on remote roots: mostly
that is there at once; to a remote root a process of its own brings it."""


class FailureNotes:
    """Diagnoses the failed attempts of one launch, and keeps what is known of them."""

    def __init__(self, launch: RunningLaunch) -> None:
        self._launch = launch
        self._diagnostics = Diagnostics(launch.assigner.storage, launch.signatures)

    def awaits_witness(self, job: Job, outcome: Outcome, heard_at: float) -> bool:
        """Tell whether a process died and what was seen of that may be written in a moment.

        Args:
            job: its job.
            outcome: its death.
            heard_at: when that was heard of, by the launch's clock.
        """
        storage, patience = self._launch.assigner.storage, self._launch.patience
        if patience.clock() >= heard_at + _WITNESS_WITHIN_S[storage.is_local]:
            return False
        if outcome.ending is not Ending.LOST or outcome.fault_class is not FaultClass.LOST_PROCESS:
            return False
        folder = Artifact(storage, job.kind, job.key).attempt_folder(outcome.ticket)
        dead = [ending.rank for ending in outcome.ranks if ending.is_dead] or [0]
        logs = [f"{folder}/{log_name(rank)}" for rank in dead]
        # To a remote root the log comes with the testimony.
        logs = [log for log in logs if not storage.is_local or storage.exists(log)]
        return any(not storage.exists(witness_name(log)) for log in logs)

    def diagnosed(
        self, job: Job, outcome: Outcome, attempt: AttemptResult, seconds: float
    ) -> AttemptResult:
        """Return how an attempt failed once its words were read: they may say whose fault it is.

        Raises:
            SurroundingsError: the storage, which has its log, does not answer.
        """
        submitted = self._launch.journal.past.of_job(job.key).submitted
        diagnosis = self._diagnostics.diagnose(
            Failure(
                job=job,
                attempt=outcome.ticket,
                result=attempt.result.value,
                fault_class=attempt.fault_class or FaultClass.UNKNOWN,
                message=attempt.message,
                ranks=rank_reports(outcome, attempt),
                seconds=seconds,
                ended=time.time(),
                expected_gb=submitted.peak_memory_gb if submitted else None,
            )
        )
        known, cause = diagnosis.fault_class, diagnosis.evidence.cause
        if len(outcome.ranks) > 1:
            message = diagnosis.message or "it failed without a message"
            if not message.startswith("rank "):
                message = f"rank {cause.rank}: {message}"
            attempt = replace(attempt, message=message, node=cause.node or attempt.node)
        if known is not attempt.fault_class:
            attempt = replace(attempt, fault_class=known, result=result_of_class(known))
        return replace(attempt, diagnosis=diagnosis)

    def tell(self, job: Job, name: str, attempt: AttemptResult, decided_by: str | None) -> None:
        """Keep the evidence of a failure, and let who watches know of the ending."""
        message = attempt.message
        if attempt.diagnosis is not None:
            evidence = attempt.diagnosis.evidence
            with suppress(SurroundingsError):  # which the launch waits for; the ledger has the sum
                keep_evidence(self._launch.assigner.storage, job, evidence)
            message = describe_failure(evidence)
            message = f"{message}; {decided_by}" if decided_by else message
        self._launch.watcher.note_end(job, name, attempt.result, message)


def rank_reports(outcome: Outcome, attempt: AttemptResult) -> list[RankReport]:
    """Return what an outcome says of each process of an attempt; one where it names none."""
    if len(outcome.ranks) < 2:
        is_dead = outcome.ending in (Ending.LOST, Ending.OUT_OF_MEMORY)
        return [
            RankReport(
                node=attempt.node,
                is_dead=is_dead,
                fault_class=attempt.fault_class,
                message=attempt.message,
                reported=attempt.evidence,
            )
        ]
    return [_rank_report(ending, outcome) for ending in outcome.ranks]


def _rank_report(ending: RankEnding, outcome: Outcome) -> RankReport:
    about = RankReport(
        rank=ending.rank,
        node=ending.node,
        pid=ending.pid,
        place=ending.place,
        is_dead=ending.is_dead,
        message=ending.error and redacted(ending.error),
    )
    if ending.is_dead:
        return replace(about, fault_class=outcome.fault_class or FaultClass.LOST_PROCESS)
    if ending.error is not None:
        return replace(about, fault_class=FaultClass.PROGRAM)
    answer = Answer.from_json(ending.answer) if ending.answer else None
    if answer is None or answer.fault is None:
        return about
    return replace(
        about,
        fault_class=answer.fault.fault_class,
        message=answer.fault.message,
        reported=answer.evidence,
    )


def fields_of_ledger(attempt: AttemptResult) -> dict[str, Any]:
    """Return what the ledger keeps of a diagnosis, by field of `Ended`."""
    if attempt.diagnosis is None:
        return {}
    evidence = attempt.diagnosis.evidence
    cause = evidence.cause
    return {
        "signature": evidence.signature,
        "rank": evidence.first if len(evidence.ranks) > 1 else None,
        "step": cause.step,
        "exit_code": cause.exit_code,
        "signal": cause.signal,
    }
