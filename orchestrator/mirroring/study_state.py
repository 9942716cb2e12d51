"""What the live run of a study shows: its jobs by state, what they used, hours since it began."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.storage import Storage
from orchestrator.budget.budget import GPU_HOURS, Budget
from orchestrator.budget.spending import spent_on
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import Decision
from orchestrator.records.events import Ended, LaunchStarted
from orchestrator.records.failure import FAILURES, Result
from orchestrator.records.history import History, add
from orchestrator.records.ledger import read_events

_GPU_HOURS = Budget(limits={GPU_HOURS: 1.0})


@dataclass(kw_only=True)
class StudyState:
    """What a ledger says, and what was done before it was first read."""

    history: History = field(default_factory=History)
    """Everything that all launches tried."""
    began_at: float | None = None
    """When the study was first launched, in seconds since the epoch."""
    num_failures: int = 0
    """Attempts that failed."""

    @classmethod
    def read(cls, root: Storage, study: str) -> "StudyState":
        """Read a study's ledger."""
        state = cls()
        for event in read_events(root, study):
            if isinstance(event, LaunchStarted) and state.began_at is None:
                state.began_at = event.at
            if isinstance(event, Ended) and event.result in FAILURES:
                state.num_failures += 1
            add(state.history, event)
        return state

    def values(self, root: Storage, decided: DecidedPlan, now: float) -> Mapping[str, float]:
        """Return name -> number, for one row at a time `now` in seconds since the epoch."""
        counts: Counter[str] = Counter()
        stages: Counter[str] = Counter()
        reused = decided.keys(Decision.REUSE)
        for job in decided.plan.by_key.values():
            word = self._word(job.key, is_done_before=job.key in reused)
            counts[word] += 1
            stages[job.stage] += word == "done"
        spent = spent_on(_GPU_HOURS, root, self.history, now=now)
        return {
            **{f"jobs/{word}": counts[word] for word in ("done", "running", "failed", "waiting")},
            **{f"done/{stage}": number for stage, number in stages.items()},
            "attempts": sum(job.num_attempts for job in self.history.jobs.values()),
            "attempts/failed": self.num_failures,
            "gpu_hours": round(spent[GPU_HOURS], 4),
            "job_hours": round(sum(job.seconds for job in self.history.jobs.values()) / 3600, 4),
        }

    def hours(self, now: float) -> float:
        """Return the hours since the study was first launched."""
        return max(0.0, now - (self.began_at or now)) / 3600

    def _word(self, key: str, *, is_done_before: bool) -> str:
        past = self.history.of_job(key)
        if past.open:
            return "running"
        if past.result in (Result.DONE, Result.REUSED) or is_done_before:
            return "done"
        return "failed" if past.given_up or past.refused else "waiting"
