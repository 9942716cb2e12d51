"""`Glances`: asks which processes a signal has stopped (SIGSTOP, Ctrl-Z); none goes on by itself.

On this machine the kernel is asked at every look, which costs microseconds. Another node is asked
by a call, once a process there has missed its beats.
"""

from dataclasses import dataclass, field

from cluster.executor import Outcome
from jobs.liveness.inspection import GLANCE, inspection_payload, read_findings
from orchestrator.dispatch.node_calls import NodeCalls
from orchestrator.watchdog.cases import suspects_by_node
from orchestrator.watchdog.rules import RankSigns
from orchestrator.watchdog.signs import AttemptSigns
from orchestrator.watchdog.watched import LOOKS_AGAIN_S

_MISSED_BEATS = 2.5
"""After so many times the usual silence, and a look, another node is asked."""


@dataclass(kw_only=True)
class _Asked:
    """What the nodes of one attempt are asked."""

    again_at: float = 0.0
    """When they may be asked again, by the attentive clock."""
    beats: dict[str, dict[int, int]] = field(default_factory=dict)
    """Ticket of a call that was not answered yet -> rank -> its beat when it was asked for."""


class Glances:
    """Keeps what is seen with the signs of each attempt.

    Args:
        calls: reach the nodes.
        beats_every_s: seconds between two beats of a process.
        looks_every_s: seconds between two looks at an attempt.
    """

    def __init__(self, calls: NodeCalls, beats_every_s: float, looks_every_s: float) -> None:
        self._calls = calls
        self._quiet_s = _MISSED_BEATS * beats_every_s + looks_every_s
        self._asked: dict[str, _Asked] = {}

    def look(self, attempt: str, signs: AttemptSigns, now: float) -> None:
        """Ask for the state of an attempt's processes, where there is reason or it costs nothing.

        Not where jobs run in this very process: stopped, it would not look.
        """
        if self._calls.interrupt is not None:
            return
        asked = self._asked.setdefault(attempt, _Asked())
        ranks = {one.heartbeat.rank: one for one in signs.read(now)}
        is_asked = False
        for node, suspects in suspects_by_node(one.heartbeat for one in ranks.values()).items():
            answer = self._calls.answer_here(node, GLANCE, inspection_payload(suspects, None))
            if answer is not None:
                signs.note_states(read_findings(answer), now)
                continue
            quiet = [one for one in suspects if self._is_quiet(ranks[one.rank])]
            if quiet and now >= asked.again_at:
                ticket = self._calls.ask(node, GLANCE, inspection_payload(quiet, None))
                asked.beats[ticket] = {one.rank: ranks[one.rank].heartbeat.beat for one in quiet}
                is_asked = True
        if is_asked:
            asked.again_at = now + LOOKS_AGAIN_S

    def take(self, outcome: Outcome, signs: dict[str, AttemptSigns], now: float) -> None:
        """Take in the end of a call; what has beaten since it was asked for is not stopped."""
        for attempt, asked in self._asked.items():
            beats = asked.beats.pop(outcome.ticket, None)
            if beats is None or outcome.answer is None or attempt not in signs:
                continue
            latest = {one.heartbeat.rank: one.heartbeat.beat for one in signs[attempt].read(now)}
            found = read_findings(outcome.answer)
            still = [one for one in found if latest.get(one.rank) == beats.get(one.rank)]
            signs[attempt].note_states(still, now)

    def forget(self, attempt: str) -> None:
        """Forget an attempt that has ended."""
        self._asked.pop(attempt, None)

    def _is_quiet(self, one: RankSigns) -> bool:
        return one.silent_s > self._quiet_s and one.stopped_s is None
