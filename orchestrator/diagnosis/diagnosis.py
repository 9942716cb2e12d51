"""`Diagnosis`: what one failed attempt was, from what machine and worker say and from its words.

What the machine itself witnessed, and what an exception is by its kind, stands. Words only say more
where nothing is known (UNKNOWN, PROGRAM), where a process died (LOST_PROCESS), or where only
another rank is blamed (COLLATERAL). Of several ranks one is the cause, the others fell with it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from cluster.disk.disk_faults import ForeignEntry
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.liveness.heartbeat import Heartbeat, read_heartbeats
from jobs.worker.attempt_folder import log_name
from orchestrator.diagnosis.evidence import Evidence
from orchestrator.diagnosis.log_tail import log_tail
from orchestrator.diagnosis.matching import MOST_LINES, Match, Matches, Remains, search
from orchestrator.diagnosis.rank_report import RankReport, SeenRank, see_rank
from orchestrator.diagnosis.signature import KnownFailure, shipped
from orchestrator.diagnosis.witnesses import read_testimony

REFINED = frozenset(
    {FaultClass.UNKNOWN, FaultClass.PROGRAM, FaultClass.LOST_PROCESS, FaultClass.COLLATERAL}
)
"""Classes that say little: words may say more."""
_STACKS = "stacks"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed attempt, as machine and worker report it."""

    job: Job
    """Its job."""
    attempt: str
    """Its id."""
    result: str
    """How it ended, as the ledger keeps it."""
    fault_class: FaultClass
    """Whose fault they take it for."""
    message: str | None
    """What went wrong."""
    ranks: Sequence[RankReport] = (RankReport(),)
    """What is known of its processes; one at least."""
    seconds: float = 0.0
    """How long it took."""
    ended: float = 0.0
    """When, in seconds since the epoch."""
    expected_gb: float | None = None
    """Peak memory that the plan expected of it, in 10^9 bytes; None where it did not."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What one failed attempt was."""

    fault_class: FaultClass
    """Whose fault it is."""
    message: str | None
    """What went wrong, in the words of the rank that failed first."""
    evidence: Evidence
    """What is known of it."""


class Diagnostics:
    """Diagnoses the failures of a launch, by the signatures of the package and some people's own.

    Args:
        storage: the output root.
        own: signatures that people brought along; they go first.
    """

    def __init__(self, storage: Storage, own: Sequence[KnownFailure] = ()) -> None:
        self._storage = storage
        self._own = tuple(own)
        self._all: list[KnownFailure] = []

    def diagnose(self, failure: Failure) -> Diagnosis:
        """Diagnose a failed attempt.

        Raises:
            SurroundingsError: the storage, which has its logs, does not answer.
        """
        artifact = Artifact(self._storage, failure.job.kind, failure.job.key)
        folder = artifact.attempt_folder(failure.attempt)
        beats = {beat.rank: beat for beat in read_heartbeats(self._storage, folder)}
        stacks = list[str]()
        with suppress(ForeignEntry):
            names = self._storage.list(f"{folder}/{_STACKS}")
            stacks = [f"{folder}/{_STACKS}/{name}" for name in names]
        seen = [
            self._see(failure, report, folder, beats.get(report.rank), stacks)
            for report in failure.ranks
        ]
        cause = min(seen, key=_order)
        evidence = Evidence(
            attempt=failure.attempt,
            key=failure.job.key,
            job=failure.job.label,
            ended=failure.ended,
            seconds=failure.seconds,
            result=failure.result,
            fault_class=cause.fault_class.value,
            reported_class=failure.fault_class.value,
            message=cause.report.message or failure.message,
            signature=cause.failure.name if cause.failure else None,
            matched=cause.matched,
            remedy=cause.failure.remedy if cause.failure else None,
            witnesses=cause.witnesses,
            expected_gb=failure.expected_gb,
            first=cause.report.rank,
            collateral=[one.report.rank for one in seen if one is not cause],
            overdue=sorted({name for one in seen for name in one.overdue}),
            ranks=[
                one.evidence if one is cause else replace(one.evidence, how="collateral")
                for one in seen
            ],
        )
        return Diagnosis(fault_class=cause.fault_class, message=evidence.message, evidence=evidence)

    def _see(
        self,
        failure: Failure,
        report: RankReport,
        folder: str,
        beat: Heartbeat | None,
        stacks: Sequence[str],
    ) -> SeenRank:
        """Look at all that one rank left."""
        log = f"{folder}/{log_name(report.rank)}"
        lines = log_tail(self._storage, log, MOST_LINES)
        testimony = None
        if report.is_dead:
            own_gb = beat.memory_gb if beat else None
            testimony = read_testimony(self._storage, log, own_gb)
        known = report.fault_class or failure.fault_class
        if testimony is not None and testimony.fault_class is not None and known in REFINED:
            known = testimony.fault_class
        seen = see_rank(
            report,
            log=log if lines else None,
            lines=lines,
            beat=beat,
            stacks=[name for name in stacks if name.split("/")[-1].startswith(f"{report.rank}-")],
            testimony=testimony,
        )
        message = report.message or (failure.message if len(failure.ranks) == 1 else "") or ""
        kernel = testimony.kernel if testimony else report.reported.get("kernel", ())
        words = [message, *([f"ended by {seen.evidence.signal}"] if seen.evidence.signal else [])]
        matches = self._search(Remains(message="\n".join([*words, *kernel]), log=lines))
        match = matches.first if known in REFINED else matches.first_of(known)
        failed = match.failure if match else None
        if testimony is not None and testimony.signature and known is testimony.fault_class:
            failed, match = self._named(testimony.signature), None
        return replace(
            seen,
            fault_class=refined(known, match),
            failure=failed,
            matched=match.line if match else None,
            evidence=replace(seen.evidence, signature=failed.name if failed else None),
            overdue=[failure.name for failure in matches.overdue],
        )

    def _search(self, remains: Remains) -> Matches:
        """Search with all signatures but those that have taken too long once."""
        matches = search(remains, self._known)
        self._all = [failure for failure in self._known if failure not in matches.overdue]
        return matches

    def _named(self, name: str) -> KnownFailure | None:
        return next((failure for failure in self._known if failure.name == name), None)

    @property
    def _known(self) -> list[KnownFailure]:
        self._all = self._all or [*self._own, *shipped()]
        return self._all


def refined(known: FaultClass, match: Match | None) -> FaultClass:
    """Return the class of a failure once its words were read."""
    return match.failure.fault_class if match is not None and known in REFINED else known


def _order(seen: SeenRank) -> tuple[int, int, int]:
    """Return a rank's place among those that may be the cause, the likeliest first.

    What is known for sure goes first, then a death, then an error that nobody foresaw, then what
    blames another rank; among equals, who reported first.
    """
    report = seen.report
    if not report.has_failed:
        group = 4
    elif seen.fault_class not in REFINED:
        group = 0
    elif report.is_dead and seen.fault_class is not FaultClass.COLLATERAL:
        group = 1
    else:
        group = 3 if seen.fault_class is FaultClass.COLLATERAL else 2
    return group, -1 if report.place is None else report.place, report.rank
