"""Signs of life over time, by a steady clock that counts only while somebody looks.

A counter that stands still proves nothing where nobody looked: of a launch that was stopped
(SIGSTOP, a laptop that slept) or waited for its storage, the time between two looks counts as one
look's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jobs.liveness.heartbeat import Heartbeat
from jobs.liveness.inspection import Finding
from orchestrator.watchdog.rules import RankSigns


class AttentiveClock:
    """Seconds during which somebody looked.

    Args:
        most_s: the most that counts of the time between two looks.
    """

    def __init__(self, most_s: float) -> None:
        self.now = 0.0
        """Seconds so far."""
        self.has_stood = False
        """Whether nobody looked for longer than that before the last look."""
        self._most_s = most_s
        self._looked_at: float | None = None

    def look(self, steady_s: float) -> float:
        """Note a look at this moment of a steady clock; return seconds since the first look."""
        self.has_stood = self._looked_at is not None and steady_s - self._looked_at > self._most_s
        if self._looked_at is not None:
            self.now += max(0.0, min(steady_s - self._looked_at, self._most_s))
        self._looked_at = steady_s
        return self.now


@dataclass(kw_only=True)
class _Rank:
    heartbeat: Heartbeat
    beat_at: float
    moved_at: float
    stopped_at: float | None = None
    """Since when every look found it stopped by a signal; None: the last one did not."""
    cpu_s: float | None = None
    """Processor time that it had used then."""


@dataclass(kw_only=True)
class AttemptSigns:
    """What the heartbeats of one attempt have shown so far."""

    late_s: float
    """How old a heartbeat may be when it is read: time between beats and time between looks."""
    _ranks: dict[int, _Rank] = field(default_factory=dict)

    def take(self, heartbeats: Sequence[Heartbeat], now: float) -> None:
        """Take in what was read at this moment of the attentive clock."""
        for beat in heartbeats:
            known = self._ranks.get(beat.rank)
            # What it says of its own idleness sharpens the moment, and may not stand alone for it.
            moved_at = now - min(beat.idle_s or 0.0, self.late_s)
            if known is None or known.heartbeat.pid != beat.pid:
                self._ranks[beat.rank] = _Rank(heartbeat=beat, beat_at=now, moved_at=moved_at)
                continue
            if beat.beat == known.heartbeat.beat:
                continue
            if _has_moved(known.heartbeat, beat):
                known.moved_at = moved_at
            known.heartbeat, known.beat_at, known.stopped_at = beat, now, None

    def note_states(self, findings: Iterable[Finding], now: float) -> None:
        """Take in what the kernel said of processes: one that used a processor meanwhile ran."""
        for found in findings:
            known = self._ranks.get(found.rank)
            if known is None or known.heartbeat.pid != found.pid:
                continue
            if not found.is_stopped_by_signal:
                known.stopped_at = None
            elif known.stopped_at is None or known.cpu_s != found.cpu_s:
                known.stopped_at, known.cpu_s = now, found.cpu_s

    def forget_states(self) -> None:
        """Let nothing that was seen to be stopped count: nobody has looked since."""
        for one in self._ranks.values():
            one.stopped_at = None

    def restart(self, now: float) -> None:
        """Let all that stood still have begun at this moment: until now there was a reason."""
        for one in self._ranks.values():
            one.beat_at = one.moved_at = now
        self.forget_states()

    def read(self, now: float) -> list[RankSigns]:
        """Return what is known of each rank at this moment of the attentive clock."""
        return [
            RankSigns(
                heartbeat=one.heartbeat,
                idle_s=now - one.moved_at,
                silent_s=now - one.beat_at,
                stopped_s=None if one.stopped_at is None else now - one.stopped_at,
            )
            for _, one in sorted(self._ranks.items())
        ]


def _has_moved(before: Heartbeat, after: Heartbeat) -> bool:
    if (before.phase, before.step, before.since) != (after.phase, after.step, after.since):
        return True
    return (after.idle_s or 0.0) < (before.idle_s or 0.0)
