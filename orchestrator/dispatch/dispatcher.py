"""The dispatcher, the only loop: submits what the policy picks and believes only records."""

import time
from collections.abc import Sequence, Set

from cluster.executor import Executor, Outcome
from cluster.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import Fit
from jobs.worker.logs import redacted
from orchestrator.dispatch.cancel_requests import take_requests
from orchestrator.dispatch.in_flight import InFlight, Parking
from orchestrator.dispatch.interruption import Interruption, interruption
from orchestrator.dispatch.job_states import Board, JobState
from orchestrator.dispatch.policy import Load, priorities
from orchestrator.dispatch.ready_jobs import ReadyJobs
from orchestrator.dispatch.record_checks import Standing
from orchestrator.dispatch.settling import Consequence, consequence
from orchestrator.dispatch.shared_jobs import Crews
from orchestrator.dispatch.submission import ENTRY, Answer, Origin, answer_of, write_request
from orchestrator.dispatch.watcher import Watcher
from orchestrator.plan.fitting import chooses, fit, fitted, submitted, unfit
from orchestrator.plan.machines import Machines, can_hold, refusal
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.records import history
from orchestrator.records.attempt_progress import read_progress
from orchestrator.records.failure import Result
from orchestrator.records.history import History
from orchestrator.records.ledger import Ended, Event, Ledger, Refused

_TICK_S = 0.5
_LOOK_AROUND_EVERY_S = {True: 1.0, False: 5.0}
"""How often requests and machines are looked at, on local and on remote roots."""
_DRAIN_S = 15.0
"""After an interruption, how long running jobs may take to save what they have."""


class Dispatcher:
    """One launch's loop over a board of jobs and an executor.

    `settle_past`, then `run` with the executor started, when anything is left to run.
    """

    def __init__(
        self,
        *,
        board: Board,
        launch: str,
        origin: Origin,
        executor: Executor,
        ledger: Ledger,
        past: History,
        stale: Set[str],
        watcher: Watcher,
    ) -> None:
        self.ran: list[str] = []
        self.reused = board.in_state(JobState.DONE)
        self.num_attempts = 0
        self.cancelled = False
        self.heard = Interruption()
        self._board = board
        self._launch = launch
        self._origin = origin
        self._storage = origin.storage
        self._executor = executor
        self._ledger = ledger
        self._past = past
        self._standing = Standing(
            self._storage, (job for key, job in board.jobs.items() if key in stale)
        )
        self._watcher = watcher
        self._priorities = priorities(list(board.jobs.values()))
        self._ready = ReadyJobs()
        self._running = InFlight()
        self._parked = Parking()
        self._crews = Crews(board.jobs.values(), self._priorities)
        self._asked: set[str] = set()
        self._unwanted: set[str] = set()
        self._machines = Machines(executor)
        self._asked_for = dict(board.jobs)
        self._layouts: dict[str, Fit] = {}
        self._known = UpstreamFacts(self._asked_for, self._standing.record)
        for key in self.reused:
            self._known.done(board.jobs[key])
        self._looked_at = 0.0

    def settle_past(self) -> None:
        """Fail what used up its tries in earlier launches, block what cannot have its inputs."""
        for key in self._board.in_state(JobState.WAITING):
            past = self._past.jobs.get(key)
            if past is not None and past.given_up and self._is_waiting(key):
                self._drop(key, JobState.FAILED, past.message or "it failed in an earlier launch")
        self._board.block_strays()

    def run(self) -> None:
        """Go on until nothing more can be done, or somebody ends it."""
        self._survey()
        self._make_ready(self._board.startable())
        with interruption() as self.heard:
            while self._board.unsettled and not (self.heard.requested or self.cancelled):
                self._look_around()
                self._revisit_parked()
                self._submit()
                self._pause()
            self._drain()
        self._watcher.tick(self._board.counts)
        self._ledger.flush()

    def _survey(self) -> None:
        """See what machines there are now; let go of what none of them can hold."""
        if not self._machines.look():
            return
        nodes = self._machines.nodes
        for key in self._board.in_state(JobState.WAITING):
            job = self._board.jobs[key]
            if self._is_waiting(key) and not chooses(job) and not can_hold(nodes, job.resources):
                self._refuse(key, refusal(nodes, job.resources))
        self._make_ready(self._ready.take_all())
        for attempt, key in self._running.attempts().items():
            if not can_hold(nodes, self._board.jobs[key].resources):
                # The node it was meant for is gone: without this it would wait for ever.
                self._executor.cancel(attempt)

    def _refuse(self, key: str, message: str) -> None:
        self._note(Refused(at=time.time(), key=key, message=message))
        self._ready.remove(frozenset({key}))
        self._parked.remove(key)
        self._drop(key, JobState.FAILED, message)

    def _look_around(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_AROUND_EVERY_S[self._storage.is_local]:
            return
        self._looked_at = now
        self._survey()
        for request in take_requests(self._storage, self._origin.study):
            if request.keys is None:
                self.cancelled = True
            else:
                self._cancel(request.keys & self._board.jobs.keys())

    def _cancel(self, keys: frozenset[str]) -> None:
        self._unwanted |= keys
        self._ready.remove(keys)
        for key in keys:
            self._stop(key)
            self._parked.remove(key)
            if self._is_waiting(key):
                self._drop(key, JobState.CANCELLED, "cancelled before it started")

    def _stop(self, key: str) -> None:
        """Ask whoever is at a job to stop; nobody joins them any more."""
        self._crews.close(key)
        for attempt in self._running.crew(key):
            self._asked.add(attempt)
            self._executor.cancel(attempt)

    def _revisit_parked(self) -> None:
        for key in self._parked.waiting():
            if self._standing.winner(self._board.jobs[key]) is not None:
                self._parked.remove(key)
                self._finish(key, self.reused)
            elif self._parked.is_due(key):
                self._parked.remove(key)
                self._make_ready([key])

    def _submit(self) -> None:
        if self.cancelled:
            return
        free = self._machines.free_for(offer.resources for offer in self._ready.offers())
        while (key := self._ready.take(self._load(free))) is not None:
            self._start(key)
        waiting = self._ready.offers()
        while (key := self._crews.growing(self._running, waiting, self._load(free))) is not None:
            self._attempt(self._board.jobs[key])

    def _load(self, free: Sequence[Resources] | None) -> Load:
        return self._running.load(self._machines.capacity, free)

    def _start(self, key: str) -> None:
        job = self._board.jobs[key]
        if self._standing.is_done(job):
            self._finish(key, self.reused)
            return
        write_request(self._storage, job)
        self._board.start(key)
        self._attempt(job)

    def _attempt(self, job: Job) -> None:
        """Submit an attempt: the first at a job, or one more that shares it."""
        self.num_attempts += 1
        attempt = f"{self._launch}-{self.num_attempts:06d}"
        self._note(submitted(job, attempt, self._layouts.get(job.key)))
        worker = self._running.add(attempt, job.key, job.resources)
        payload = self._origin.payload(job, attempt, worker)
        self._executor.submit(attempt, ENTRY, payload, job.resources)
        self._watcher.started(job, attempt)

    def _pause(self) -> None:
        """Wait until something ends, or a tick; a first Ctrl-C ends the waiting."""
        self._watcher.tick(self._board.counts)
        self._ledger.flush()
        outcomes: list[Outcome] = []
        with self.heard.waiting():
            outcomes = self._executor.wait(_TICK_S)
        for outcome in outcomes:
            self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        key, seconds = self._running.end(outcome.ticket)
        job = self._board.jobs[key]
        answer = self._checked(job, outcome)
        self._note(
            Ended(
                at=time.time(),
                key=key,
                attempt=outcome.ticket,
                result=answer.result,
                seconds=seconds if answer.seconds is None else answer.seconds,
                node=outcome.node,
                message=answer.message,
                fraction=answer.fraction,
            )
        )
        self._watcher.ended(job, outcome.ticket, answer.result, answer.message)
        self._conclude(key, answer)

    def _checked(self, job: Job, outcome: Outcome) -> Answer:
        """What the outcome says, less what may not be believed or told."""
        answer, fraction = answer_of(outcome), None
        result, message = answer.result, answer.message
        asked = outcome.ticket in self._asked or self.cancelled or self.heard.requested
        if result in (Result.DONE, Result.REUSED):
            if self._standing.winner(job) is None:
                result, message = Result.ERROR, "it said that it was done and left no valid record"
        elif self._board.states[job.key] is JobState.DONE:
            # Whoever shared the job is let go when its record stands, in whatever way it ends.
            result, message = Result.REUSED, None
        elif result is Result.CANCELLED and not asked:
            result = Result.PREEMPTED
            message = f"something else stopped it: {message or 'its machine was wanted back'}"
            fraction = read_progress(self._storage, job, [outcome.ticket]).get("fraction")
        return Answer(
            result=result,
            seconds=answer.seconds,
            message=redacted(message) if message else None,
            fraction=fraction,
        )

    def _conclude(self, key: str, answer: Answer) -> None:
        if answer.result is Result.DONE and answer.seconds is not None:
            self._running.learn(answer.seconds)
        follows = consequence(
            answer.result,
            is_settled=self._board.states[key] is not JobState.RUNNING,
            num_others=len(self._running.crew(key)),
            is_cancelled=key in self._unwanted,
            failures=self._past.jobs[key].failures,
        )
        if follows is Consequence.NONE:
            self._crews.ended(key, answer.result)
        elif follows is Consequence.FINISH:
            self._stop(key)
            # Of several workers, one that found the record may be heard before who published it.
            winner = self._standing.winner(self._board.jobs[key]) or ""
            self._finish(key, self.ran if winner.startswith(self._launch) else self.reused)
        elif follows is Consequence.PARK:
            self._board.put_back(key)
            self._parked.add(key)
        elif follows is Consequence.CANCEL:
            self._drop(key, JobState.CANCELLED, "cancelled while it ran")
        elif follows is Consequence.AGAIN:
            self._retry(key)
        else:
            self._stop(key)
            self._drop(key, JobState.FAILED, answer.message or "it failed without a word")

    def _retry(self, key: str) -> None:
        self._board.put_back(key)
        self._survey()  # its node may be gone
        if self._is_waiting(key):
            self._make_ready([key])

    def _drain(self) -> None:
        """Ask everything to stop and wait a while; what does not end is left without an ending."""
        for key in self._running.jobs:
            self._stop(key)
        until = time.monotonic() + _DRAIN_S
        try:
            while len(self._running) and time.monotonic() < until:
                self._pause()
        except KeyboardInterrupt:
            return  # a second Ctrl-C

    def _finish(self, key: str, among: list[str]) -> None:
        among.append(key)
        self._known.done(self._asked_for[key])
        self._make_ready(self._board.finish(key))

    def _drop(self, key: str, state: JobState, because: str) -> None:
        self._board.drop(key, state, because)
        self._watcher.dropped(self._board.jobs[key], state, because)

    def _make_ready(self, keys: list[str]) -> None:
        """Let jobs wait for their turn, laid out for the machines there are; or let go of them."""
        for key in keys:
            why_not = self._lay_out(key)
            if why_not is not None:
                self._refuse(key, why_not)
            else:
                self._ready.add(key, self._priorities[key], self._board.jobs[key].resources)

    def _lay_out(self, key: str) -> str | None:
        """Put the job as it is to be done in its place; why it cannot be done, or None."""
        asked, machines = self._asked_for[key], self._machines
        if not machines.nodes:
            return None  # an executor that starts with none may yet get some
        found = fit(asked, machines.at_hand, self._past.of(key), self._known)
        if found is not None:
            self._layouts[key] = found
            self._board.jobs[key] = fitted(asked, found)
        return unfit(asked, found, machines.nodes, machines.most_ranks)

    def _is_waiting(self, key: str) -> bool:
        return self._board.states[key] is JobState.WAITING

    def _note(self, event: Event) -> None:
        self._ledger.append(event)
        history.add(self._past, event)
