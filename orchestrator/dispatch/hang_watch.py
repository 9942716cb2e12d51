"""`HangWatch`: the dispatcher's look at what runs; keeps evidence of what hangs and has it ended.

A doubt opens a case: processes beside the job, on its nodes, gather stacks and what the kernel
says. The last one begins so long before the limit as looks take, and is decided at the limit, never
before. Nothing is ended that was seen to move, nor while the root is away from a node. What a
signal stopped is told by the kernel, and has shorter limits. What is ended (`hang_ending.py`)
counts as hung, and the rules for failures decide what follows.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from cluster.errors import SurroundingsError
from cluster.executor import Outcome
from cluster.redaction.redactor import redacted
from jobs.artifacts.artifact import Artifact
from jobs.liveness.beating import BEAT_EVERY_S
from jobs.liveness.heartbeat import FOLDER, read_heartbeats
from jobs.liveness.inspection import INSPECT, inspection_payload, read_findings
from orchestrator.dispatch.glances import Glances
from orchestrator.dispatch.hang_ending import HangEnding
from orchestrator.dispatch.node_calls import NodeCalls
from orchestrator.dispatch.repeating_thread import RepeatingThread
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.text import duration
from orchestrator.watchdog.cases import Case
from orchestrator.watchdog.rules import (
    Judgement,
    RankSigns,
    Verdict,
    judge,
    left_s,
    limit_s,
)
from orchestrator.watchdog.signs import AttemptSigns, AttentiveClock
from orchestrator.watchdog.watched import Watched

_LOOK_EVERY_S = {True: 1.0, False: 10.0}
"""On local and on remote roots, where every look costs requests."""
_SHARE = 0.2
"""Most of the time that looks may take: those at hundreds of jobs over a network take long."""
_STALL_S = 3.0
"""What counts of a pause between two looks beyond the usual one."""
_ANSWERED_WITHIN_S = 30.0
"""How long the nodes of an attempt may take to answer; a worker may have to be started there."""
_LOOKS_TAKE_S, _MOST_LOOKS_TAKE_S = 6.0, 15.0
"""How long a look takes as long as none was seen, and the most that one is begun in advance."""
_ADVANCE_SHARE = 0.25
"""The most of a limit that a look is begun before it."""
_EXPECTED_S = 30.0
"""How long before its limit the next try of an attempt is prepared for, which holds memory."""
_SAME_S = 0.1
"""Two moments of one limit differ by less, as long as nothing has moved."""
_FIRST_BEAT_FACTOR = 2.0
"""A job may take so many times the usual silence for its first beat."""
_PROBE, _PROBE_OF_NODE = (f"{FOLDER}/.tmp-{number:016x}" for number in range(2))
"""Written, from here and from a node, to see whether the root takes writes there."""


class HangWatch:
    """Looks after the attempts of one launch."""

    def __init__(self, launch: RunningLaunch, attempts: Submitter) -> None:
        self._launch = launch
        self._attempts = attempts
        self._storage = launch.assigner.storage
        is_local = self._storage.is_local
        self._every_s, self._beats_every_s = _LOOK_EVERY_S[is_local], BEAT_EVERY_S[is_local]
        self._clock = AttentiveClock(self._every_s + _STALL_S)
        self._looked_at = -math.inf
        self._watched: dict[str, Watched] = {}
        self._seen_at: dict[str, float] = {}
        self._took_s: deque[float] = deque(maxlen=5)
        """How long the last looks took until all nodes had answered."""
        self._beside = NodeCalls(launch.executor, f"{launch.id}-watch-")
        self._glances = Glances(self._beside, self._beats_every_s, self._every_s)
        self.ending = HangEnding(launch, attempts, self._beside)
        """Ends what hangs."""
        self.thread = RepeatingThread(self.look_now, self._every_s, name="hang watch")
        """Looks where jobs run in this very process; ends with the launch."""

    def take(self, outcome: Outcome) -> bool:
        """Take in the end of a call of its own; False for any other call."""
        if not self._beside.owns(outcome):
            return False
        for watched in self._watched.values():
            case = watched.case
            if case is None or case.asked.pop(outcome.ticket, None) is None:
                continue
            if outcome.answer is not None:
                found = read_findings(outcome.answer)
                case.findings += found
                watched.signs.note_states(found, self._clock.now)
                if not case.asked:
                    self._took_s.append(self._launch.patience.clock() - case.began_s)
        signs = {attempt: one.signs for attempt, one in self._watched.items()}
        self._glances.take(outcome, signs, self._clock.now)
        return True

    def look(self) -> None:
        """Look at all that runs, and do what follows. Raises where storage or cluster is away."""
        if self._beside.interrupt is None:
            self.look_now()
        else:
            self.thread.require()

    def look_now(self) -> None:
        """Look on the thread that calls this."""
        for outcome in self._beside.answered():
            self.take(outcome)
        steady_s = self._launch.patience.clock()
        if steady_s - self._looked_at < self._every_s:
            return
        self._looked_at = steady_s
        now, running = self._clock.look(steady_s), dict(self._attempts.running)
        for attempt in self._watched.keys() - running.keys():
            del self._watched[attempt]
            self._glances.forget(attempt)
        if self._clock.has_stood:
            for watched in self._watched.values():
                watched.signs.forget_states()
        try:
            for attempts in self._calls(running, steady_s):
                # Of several jobs of a call the one that began last is at work.
                for attempt in reversed(attempts):
                    age_s = steady_s - running[attempt].since
                    if age_s >= self._beats_every_s and self._look_at(
                        self._at(attempt, running[attempt].key), now, is_alone=len(attempts) == 1
                    ):
                        break
        except Exception:  # the root is away, which jobs may be waiting for, too
            for watched in self._watched.values():
                watched.signs.restart(now)
            raise

    def _calls(self, running: Iterable[str], began_s: float) -> Iterator[list[str]]:
        """Yield the attempts of each call until the look has taken its part of the time.

        What is being looked after goes first, then what was not looked at for longest.
        """
        calls: dict[str, list[str]] = {}
        for attempt in running:
            calls.setdefault(self._attempts.batches.ticket(attempt), []).append(attempt)
        self._seen_at = {ticket: self._seen_at.get(ticket, -math.inf) for ticket in calls}

        def turn(ticket: str) -> tuple[bool, float]:
            known = (self._watched.get(attempt) for attempt in calls[ticket])
            return not any(one and one.is_looked_after for one in known), self._seen_at[ticket]

        for ticket in sorted(calls, key=turn):
            self._seen_at[ticket] = began_s
            yield calls[ticket]
            if self._launch.patience.clock() - began_s > _SHARE * self._every_s:
                return

    def _at(self, attempt: str, key: str) -> Watched:
        """Return what is known of an attempt, nothing where it was not looked at before."""
        if attempt not in self._watched:
            job = self._launch.states.jobs[key]
            self._watched[attempt] = Watched(
                attempt=attempt,
                key=key,
                folder=Artifact(self._storage, job.kind, key).attempt_folder(attempt),
                signs=AttemptSigns(late_s=self._every_s + self._beats_every_s),
            )
        return self._watched[attempt]

    def _look_at(self, watched: Watched, now: float, *, is_alone: bool) -> bool:
        """Look at one attempt; False where it has not given a sign of life."""
        heartbeats = read_heartbeats(self._storage, watched.folder)
        if watched.killed_at is not None:
            self.ending.see_to(watched, now)
        elif heartbeats:
            watched.signs.take(heartbeats, now)
            if self._launch.limits.stopped_s < math.inf:
                self._glances.look(watched.attempt, watched.signs, now)
            self._judge(watched, now)
        elif is_alone:
            self._await_life(watched, now)
        return bool(heartbeats)

    def _await_life(self, watched: Watched, now: float) -> None:
        """End what has begun and never gave a sign of life: nobody knows its process."""
        if watched.begun_at is None and self._storage.exists(watched.folder):
            watched.begun_at = now
        waited_s = 0.0 if watched.begun_at is None else now - watched.begun_at
        if waited_s > _FIRST_BEAT_FACTOR * self._launch.limits.silent_s:
            self._require_writable(watched)
            why = f"it began {duration(waited_s)} ago and has not given a sign of life"
            judgement = Judgement(verdict=Verdict.HUNG, why=why)
            self.ending.end(watched, Case(judgement=judgement, until=now), now)

    def _judge(self, watched: Watched, now: float) -> None:
        """Judge the signs of an attempt, and open, decide or drop a case as they ask for."""
        signs = watched.signs.read(now)
        judgement = judge(signs, self._launch.limits)
        due_at = now + left_s(signs, self._launch.limits)
        if judgement.verdict < Verdict.SILENT and due_at - now <= _EXPECTED_S:
            self._expect_again(watched, signs, judgement)
        case = watched.case
        if case is not None and case.due_at is not None and due_at > case.due_at + _SAME_S:
            case = watched.case = None  # it got on meanwhile, and nothing is to be kept of it
        if case is not None:
            if (not case.asked or now > case.until) and case.is_due(judgement):
                watched.case = None
                if self._is_outdated(case, watched, now):
                    self._open(watched, judgement, now)
                else:
                    self._conclude(watched, replace(case, judgement=judgement), now)
        elif judgement.verdict < Verdict.SILENT and self._is_near(watched, due_at, now):
            watched.awaited_at = due_at
            self._open(watched, judgement, now, due_at=due_at)
        elif judgement.verdict is Verdict.WELL:
            watched.num_idle = 0
        elif judgement.verdict < Verdict.SILENT:
            step = signs[0].heartbeat.step
            self.ending.tell(watched, f"slow: {judgement.why}", once_for=step)
            if judgement.verdict is Verdict.DOUBTFUL and watched.doubted_at != step:
                watched.doubted_at = step
                self._open(watched, judgement, now)
        elif now >= watched.look_at:
            self._open(watched, judgement, now)

    def _expect_again(
        self, watched: Watched, signs: Sequence[RankSigns], judgement: Judgement
    ) -> None:
        """Have the next try prepared, once a step, where the attempt may have to be ended soon."""
        step = signs[0].heartbeat.step
        is_doubted = judgement.verdict is Verdict.DOUBTFUL or any(
            one.stopped_s is not None for one in signs
        )
        if is_doubted and watched.expected_at != step:
            watched.expected_at = step
            ticket = self._attempts.batches.ticket(watched.attempt)
            self._launch.executor.expect_again(ticket)

    def _is_near(self, watched: Watched, due_at: float, now: float) -> bool:
        """Tell whether a look that began now would be over about when the limit is reached."""
        if watched.awaited_at is not None and abs(due_at - watched.awaited_at) < _SAME_S:
            return False
        signs = watched.signs.read(now)
        takes_s = min(max(self._took_s, default=_LOOKS_TAKE_S), _MOST_LOOKS_TAKE_S) + self._every_s
        if all(one.stopped_s is None for one in signs):
            shortest_s = min(limit_s(one.heartbeat, self._launch.limits) for one in signs)
            takes_s = min(takes_s, _ADVANCE_SHARE * shortest_s)
        return due_at - now <= takes_s

    def _is_outdated(self, case: Case, watched: Watched, now: float) -> bool:
        """Tell whether what was seen before the limit may not be so any more."""
        if case.due_at is None:
            return False
        age_s = self._launch.patience.clock() - case.began_s
        beats = [one.heartbeat for one in watched.signs.read(now)]
        return age_s > _ANSWERED_WITHIN_S + self._every_s or case.is_overtaken_by(beats)

    def _open(
        self, watched: Watched, judgement: Judgement, now: float, due_at: float | None = None
    ) -> None:
        """Ask the nodes of an attempt for evidence, once the root is seen to take writes here."""
        self._require_writable(watched)
        watched.num_cases += 1
        case = Case(
            number=watched.num_cases,
            judgement=judgement,
            heartbeats={one.heartbeat.rank: one.heartbeat for one in watched.signs.read(now)},
            began_s=self._launch.patience.clock(),
            due_at=due_at,
            until=now + _ANSWERED_WITHIN_S,
        )
        probe = None
        if self._storage.is_local:
            probe = str(self._storage.path(f"{watched.folder}/{_PROBE_OF_NODE}"))
        for node, suspects in case.by_node().items():
            ticket = self._beside.ask(node, INSPECT, inspection_payload(suspects, probe))
            case.asked[ticket] = node
        watched.case = case

    def _conclude(self, watched: Watched, case: Case, now: float) -> None:
        """Keep the evidence, then end the attempt or let it go on."""
        for name, text in case.files().items():
            self._storage.write(f"{watched.folder}/{name}", redacted(text).encode())
        judgement = case.judgement
        if judgement.verdict < Verdict.SILENT:
            watched.note_places(case)  # or it got on while it was looked at
            return
        why_not = watched.why_not_to_end(case, judgement, self._launch.limits, now)
        if why_not is not None:
            self.ending.tell(watched, f"{judgement.why}, but {why_not}")
            return
        self.ending.end(watched, case, now)

    def _require_writable(self, watched: Watched) -> None:
        """Require that the root takes a write in an attempt. Raises SurroundingsError."""
        self._storage.write(f"{watched.folder}/{_PROBE}", b"0")
        with suppress(SurroundingsError):
            self._storage.remove(f"{watched.folder}/{_PROBE}")
