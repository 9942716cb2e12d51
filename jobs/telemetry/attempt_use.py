"""`AttemptUse`: what one attempt used, added up from the heartbeats of its ranks as it runs."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from jobs.liveness.heartbeat import Heartbeat
from jobs.telemetry.columns import PHASES, Row

_MOST_RATES = 1000


class AttemptUse:
    """The samples of one attempt, summed up."""

    def __init__(self) -> None:
        self.num_samples = 0
        """Samples of all ranks."""
        self._beats: dict[int, int] = {}
        self._tokens: dict[int, tuple[float, int]] = {}
        self._num_tokens, self._token_s = 0, 0.0
        self._seen_at: float | None = None
        self._phase: str | None = None
        self._phase_s: dict[str, float] = defaultdict(float)
        self._rates: list[float] = []
        self._uses: list[float] = []
        self._most: dict[str, float] = {}
        self._step: int | None = None
        self._node = ""

    def take(self, at: float, heartbeats: Sequence[Heartbeat]) -> list[Row]:
        """Add a sample of each rank that has beaten since the last; return them as rows.

        Args:
            at: when they were read, in seconds since the epoch.
            heartbeats: of the ranks, each the last one.
        """
        rows = []
        for beat in heartbeats:
            if self._beats.get(beat.rank) == beat.beat:
                continue  # it says nothing new: its process is silent, or the pause was short
            self._beats[beat.rank] = beat.beat
            rows.append(self._row(at, beat))
            if beat.rank == 0:
                self._count_phase(at, beat)
        return rows

    def _row(self, at: float, beat: Heartbeat) -> Row:
        self.num_samples += 1
        self._node = self._node or beat.node
        for name in ("memory_gb", "gpu_memory_gb"):
            if (value := getattr(beat, name)) is not None:
                self._most[name] = max(value, self._most.get(name, 0.0))
        if beat.gpu_use is not None:
            self._uses = [*self._uses[-_MOST_RATES:], beat.gpu_use]
        return {
            "at": round(at * 1000),
            "node": beat.node,
            "rank": beat.rank,
            "phase": beat.phase.value,
            "step": beat.step,
            "steps": beat.steps,
            "unit": beat.unit,
            "steps_per_s": beat.rate,
            "tokens_per_s": self._count_tokens(at, beat),
            "idle_s": beat.idle_s,
            "memory_gb": beat.memory_gb,
            "gpu_memory_gb": beat.gpu_memory_gb,
            "gpu_use": beat.gpu_use,
        }

    def _count_tokens(self, at: float, beat: Heartbeat) -> float | None:
        """Return the tokens a second of a rank since its sample before; None: not counted."""
        if beat.tokens is None:
            return None
        before = self._tokens.get(beat.rank)
        self._tokens[beat.rank] = (at, beat.tokens)
        if before is None or at <= before[0] or beat.tokens < before[1]:
            return None
        seconds, number = at - before[0], beat.tokens - before[1]
        self._num_tokens += number
        self._token_s += seconds
        return round(number / seconds, 3)

    def _count_phase(self, at: float, beat: Heartbeat) -> None:
        """Share the time since the last look between the phase then and the one now."""
        if beat.rate is not None:
            self._rates = [*self._rates[-_MOST_RATES:], beat.rate]
        self._step = beat.step if beat.step is not None else self._step
        # Clocks of nodes may differ: a phase begins between two looks, whatever its node says.
        before = beat.since if self._seen_at is None else self._seen_at
        began = min(max(beat.since, before), at)
        if self._phase is not None:
            self._phase_s[self._phase] += max(0.0, began - before)
        self._phase = beat.phase.value
        self._phase_s[self._phase] += max(0.0, at - began)
        self._seen_at = at

    def summary(self) -> Row:
        """Return what the samples say of the attempt, as columns of its line."""
        rate_s = self._token_s / max(1, len(self._tokens))
        return {
            "node": self._node or None,
            **{f"{phase}_s": round(self._phase_s.get(phase, 0.0), 3) for phase in PHASES},
            "num_ranks": len(self._beats),
            "num_samples": self.num_samples,
            "steps": self._step,
            "steps_per_s": round(median(self._rates), 4) if self._rates else None,
            "tokens_per_s": round(self._num_tokens / rate_s, 3) if rate_s else None,
            **self._most,
            "gpu_use": round(sum(self._uses) / len(self._uses), 4) if self._uses else None,
        }
