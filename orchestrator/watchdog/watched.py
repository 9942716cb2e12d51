"""`Watched`: what is known of one running attempt, and what follows from a look at it."""

import math
from dataclasses import dataclass, field

from orchestrator.text import duration
from orchestrator.watchdog.cases import Case
from orchestrator.watchdog.limits import Limits
from orchestrator.watchdog.rules import Judgement, Verdict, limit_s
from orchestrator.watchdog.signs import AttemptSigns

LOOKS_AGAIN_S = 60.0
"""Pause after a look that showed nothing to end."""
_MOVING_S = 7200.0
"""What was seen to move may take so long, whatever its limit is."""


@dataclass(kw_only=True)
class Watched:
    """One running attempt."""

    attempt: str
    """Id of the attempt."""
    key: str
    """Key of its job."""
    folder: str
    """Folder of the attempt, relative to the root."""
    signs: AttemptSigns
    """What its heartbeats showed."""
    begun_at: float | None = None
    """When it was seen to have begun without a beat, by the attentive clock."""
    case: Case | None = None
    """The look at its processes that is under way."""
    num_cases: int = 0
    """How many looks there were."""
    seen: dict[int, tuple[object, set[str]]] = field(default_factory=dict)
    """Rank -> the step at which it was looked at, and where its work was seen to be during it."""
    num_idle: int = 0
    """How many of these, in a row, found it idle without a beat."""
    doubted_at: object = None
    """The step at which it was looked at before its limit was reached."""
    expected_at: object = None
    """The step at which its next try was prepared for."""
    awaited_at: float | None = None
    """The moment of its limit for which it was looked at in advance, by the attentive clock."""
    look_at: float = 0.0
    """When its processes may be looked at again, by the attentive clock."""
    killed_at: float | None = None
    """When it was ended because it hung; None where it was not."""
    told: object = None
    """What was told of it last, so that it is told once."""

    @property
    def is_looked_after(self) -> bool:
        """Whether its end depends on the next look."""
        return self.case is not None or self.killed_at is not None

    def why_not_to_end(
        self, case: Case, judgement: Judgement, limits: Limits, now: float
    ) -> str | None:
        """Say what speaks for the attempt in spite of its silence; None where nothing does."""
        self.look_at = now + LOOKS_AGAIN_S
        is_moving = self.note_places(case)
        if judgement.is_of_stop and case.stopped_by_signal:
            return None  # whatever it waited for
        if case.is_root_away:
            nodes = ", ".join(sorted({one.node for one in case.findings if one.is_root_away}))
            return f"the root takes no write on {nodes}, which it may be waiting for"
        if judgement.is_of_stop:
            self.signs.forget_states()
            return "its nodes did not answer" if not case.findings else "it is not stopped any more"
        if case.is_stopped:
            is_hung = judgement.verdict is Verdict.HUNG
            return None if is_hung else self._why_it_may_stay(case, limits, now)
        if judgement.verdict is Verdict.HUNG:
            return self._how_it_moves(limits, now) if is_moving else None
        if not case.findings:
            return "its nodes did not answer"
        if all(one.is_gone for one in case.findings):
            return "its processes have gone: the executor says how"
        if not case.is_idle:
            return "a process of it computes, or waits for a disk"
        self.num_idle += 1
        return None if self.num_idle > 1 else "it is looked at once more: it uses no processor"

    def note_places(self, case: Case) -> bool:
        """Take in where the work of each rank was; tell whether any has moved during this step.

        What waits in a loop is in several places, too, but computes next to nothing.
        """
        for one in case.findings:
            beat = case.heartbeats[one.rank]
            at = (beat.pid, beat.phase, beat.step)
            if self.seen.get(one.rank, (None,))[0] != at:
                self.seen[one.rank] = (at, set())
            self.seen[one.rank][1].update(one.places)
        return any(len(self.seen[one.rank][1]) > 1 and one.computes for one in case.findings)

    def _why_it_may_stay(self, case: Case, limits: Limits, now: float) -> str | None:
        """Say that what fell silent may be stopped for so long; None where it may not."""
        silent_s = {one.heartbeat.rank: one.silent_s for one in self.signs.read(now)}
        stopped_s = [silent_s[rank] for rank in case.stopped_by_signal]
        if not stopped_s or max(stopped_s) > limits.stopped_s:
            return None
        if limits.stopped_s == math.inf:
            return "it is stopped by a signal, and may be for ever"
        return f"it is stopped by a signal, and may be for {duration(limits.stopped_s)}"

    def _how_it_moves(self, limits: Limits, now: float) -> str | None:
        signs = self.signs.read(now)
        most_s = max(_MOVING_S, *(limit_s(one.heartbeat, limits) for one in signs))
        idle_s = min(one.idle_s for one in signs)
        if idle_s > most_s:
            return None
        self.look_at = now + max(LOOKS_AGAIN_S, idle_s / 2)
        return f"it moves: it is slow, and may take {duration(most_s)}"
