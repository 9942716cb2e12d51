"""One process of a failed attempt: what was reported of it, and what is seen of it."""

import json
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cluster.fault_classes import FaultClass
from jobs.liveness.heartbeat import Heartbeat
from orchestrator.diagnosis.evidence import RankEvidence
from orchestrator.diagnosis.signature import KnownFailure
from orchestrator.diagnosis.witnesses import Testimony

_KEPT_LINES = 60
"""Lines of each log that go into the evidence."""
_EXIT = re.compile(r"\bexit(?:ed)?(?: with)?(?: exit)? (?:code|status):?[ =](\d{1,3})\b")
_SIGNAL = re.compile(r"\b(SIG[A-Z]{2,6}\d?)\b")
_FATAL = re.compile(r"^Fatal Python error: (.+)$")
_FATAL_SIGNALS = {
    "Segmentation fault": "SIGSEGV",
    "Bus error": "SIGBUS",
    "Aborted": "SIGABRT",
    "Floating-point exception": "SIGFPE",
    "Illegal instruction": "SIGILL",
}
"""What faulthandler writes as the last words of a process, and the signal that it met."""


@dataclass(frozen=True, kw_only=True)
class RankReport:
    """What machine and worker report of one process."""

    rank: int = 0
    """Its number, from 0."""
    node: str | None = None
    """The node that it ran on."""
    pid: int | None = None
    """Its number there."""
    place: int | None = None
    """Its place among those that reported, the first 0; None where it did not."""
    is_dead: bool = False
    """Whether it died without a word."""
    fault_class: FaultClass | None = None
    """Whose fault it took its failure for; None where it said nothing of that."""
    message: str | None = None
    """What it said of its failure, or what is said of its death."""
    reported: Mapping[str, Any] = field(default_factory=dict)
    """What its worker saw (`jobs/worker/evidence.py`)."""

    @property
    def has_failed(self) -> bool:
        """Whether it failed or died, and was not merely ended with the others."""
        return self.is_dead or self.fault_class is not None or self.message is not None


@dataclass(frozen=True, kw_only=True)
class SeenRank:
    """One process, once its words were read."""

    report: RankReport
    """What was reported of it."""
    evidence: RankEvidence
    """What is known of it."""
    fault_class: FaultClass = FaultClass.UNKNOWN
    """Whose fault its failure is."""
    failure: KnownFailure | None = None
    """The signature that was found."""
    matched: str | None = None
    """The line that it was found in."""
    witnesses: Sequence[str] = ()
    """What others say of its death."""
    overdue: Sequence[str] = ()
    """Signatures that took too long, and were passed over."""


def see_rank(
    report: RankReport,
    *,
    log: str | None,
    lines: Sequence[str],
    beat: Heartbeat | None,
    stacks: Sequence[str],
    testimony: Testimony | None,
) -> SeenRank:
    """Gather what is known of one process.

    Args:
        report: what was reported of it.
        log: name of its log; None where there is none.
        lines: the end of that log.
        beat: its last heartbeat.
        stacks: names of its dumps.
        testimony: what others saw of its death.
    """
    told = report.reported
    heartbeat = told.get("heartbeat") or (_of_beat(beat) if beat else {})
    exit_code, signal_name = _ending(report, lines, testimony)
    memory = dict(told.get("memory") or {})
    if testimony is not None and testimony.memory:
        memory |= testimony.memory
    if "process_gb" not in memory and beat is not None and beat.memory_gb is not None:
        memory["process_gb"] = beat.memory_gb
    evidence = RankEvidence(
        rank=report.rank,
        how="died" if report.is_dead else "failed" if report.has_failed else "ended",
        node=told.get("node") or report.node or (beat.node if beat and beat.node else None),
        pid=told.get("pid") or report.pid or (beat.pid if beat and beat.pid else None),
        device=_device(told),
        step=heartbeat.get("step"),
        steps=heartbeat.get("steps"),
        unit=heartbeat.get("unit"),
        exit_code=exit_code,
        signal=signal_name,
        heartbeat=heartbeat or None,
        message=report.message,
        log=log,
        log_tail=list(lines[-_KEPT_LINES:]),
        stack=told.get("stack") or (),
        stacks=list(stacks),
        memory=memory,
        gpus=told.get("gpus") or (),
        others=told.get("others") or (testimony.others if testimony else ()),
        gpu_holders=told.get("gpu_holders") or (),
    )
    return SeenRank(
        report=report, evidence=evidence, witnesses=testimony.sentences if testimony else ()
    )


def _of_beat(beat: Heartbeat) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(beat.to_json())
    return known


def _device(told: Mapping[str, Any]) -> str | None:
    gpus = [str(gpu.get("gpu")) for gpu in told.get("gpus") or () if "gpu" in gpu]
    return f"GPU {', '.join(gpus)}" if gpus else None


def _ending(
    report: RankReport, lines: Sequence[str], testimony: Testimony | None
) -> tuple[int | None, str | None]:
    """Return exit code and signal of a process, as far as anything says them."""
    if not report.is_dead:
        return None, None
    message = report.message or ""
    name = None
    for line in reversed(lines):
        if fatal := _FATAL.match(line):
            name = _FATAL_SIGNALS.get(fatal[1].strip())
            break
    if testimony is not None and testimony.fault_class is not None:
        name = "SIGKILL"
    code = int(match[1]) if (match := _EXIT.search(message)) else None
    # Ray's own text lists signals that it might have been.
    if (
        name is None
        and "potential root causes" not in message
        and (word := _SIGNAL.search(message))
    ):
        name = word[1]
    if name is None and code is not None and code > 128:
        with suppress(ValueError):
            name = signal.Signals(code - 128).name
    return code, name
