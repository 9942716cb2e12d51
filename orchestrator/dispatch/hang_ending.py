"""`HangEnding`: ends the processes of an attempt that hangs, and says so of how its call ended.

Processes that answer are ended on their own nodes; where a node does not answer, or what was to be
killed goes on, the executor is asked. A job in this very process is interrupted.
"""

from collections.abc import Sequence
from dataclasses import replace

from cluster.executor import Ending, Outcome
from cluster.fault_classes import FaultClass
from jobs.liveness.heartbeat import heartbeat_name
from jobs.liveness.inspection import END, Suspect, inspection_payload
from orchestrator.dispatch.node_calls import NodeCalls
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.submitter import Submitter
from orchestrator.watchdog.cases import Case
from orchestrator.watchdog.watched import Watched

_ENDED_WITHIN_S = 20.0
"""After so long without an end, the executor is asked to stop what was to be killed."""
_ENDLESS = "it hangs in a library, in this very process: only the end of the launch ends it"


class HangEnding:
    """Ends attempts of one launch.

    Args:
        launch: the launch.
        attempts: those that its executor has.
        beside: reaches the nodes.
    """

    def __init__(self, launch: RunningLaunch, attempts: Submitter, beside: NodeCalls) -> None:
        self._hung: dict[str, tuple[str, Sequence[int]]] = {}
        """Attempt that hung -> why it was ended, and the ranks that kept the others."""
        self._launch, self._attempts, self._beside = launch, attempts, beside

    def end(self, watched: Watched, case: Case, now: float) -> None:
        """End the processes of an attempt. Its stacks are kept already."""
        sentence = case.sentence()
        self._hung[watched.attempt] = sentence, case.culprits()
        watched.killed_at = now
        self.tell(watched, sentence)
        if self._beside.interrupt is not None:
            self._beside.interrupt(watched.attempt, sentence)
            return
        answered = {one.node for one in case.findings}
        for node, suspects in case.by_node().items():
            if node in answered:
                at_it = [self._with_heartbeat(one, watched) for one in suspects]
                payload = inspection_payload(at_it, None)
                if self._beside.answer_here(node, END, payload) is None:
                    self._beside.ask(node, END, payload)
        if not answered or answered != set(case.by_node()):
            self._cancel(watched)

    def see_to(self, watched: Watched, now: float) -> None:
        """End once more, by the executor, what was to be killed and goes on."""
        if watched.killed_at is None or now - watched.killed_at <= _ENDED_WITHIN_S:
            return
        watched.killed_at = now
        if self._beside.interrupt is None:
            self._cancel(watched)
        elif not self._beside.interrupt(watched.attempt, self._hung[watched.attempt][0]):
            self.tell(watched, _ENDLESS)

    def as_it_ended(self, outcome: Outcome, *, is_stopped: bool) -> Outcome:
        """Return how a call really ended: one that was ended because it hung just died otherwise.

        Of several ranks those that kept the others are the ones that failed. What was to stop
        anyway, and hung instead, was stopped.
        """
        if outcome.ticket not in self._hung:
            return outcome
        why, culprits = self._hung[outcome.ticket]
        if is_stopped:
            return replace(outcome, ending=Ending.CANCELLED, answer=None, error=why)
        failed = culprits or [one.rank for one in outcome.ranks]
        return replace(
            outcome,
            ending=Ending.LOST,
            answer=None,
            error=why,
            fault_class=FaultClass.HUNG,
            ranks=tuple(
                replace(one, is_dead=one.rank in failed, error=None, answer=None)
                for one in outcome.ranks
            ),
        )

    def tell(self, watched: Watched, text: str, once_for: object = None) -> None:
        """Tell the launch's watcher of an attempt; of one step, or with one text, only once."""
        topic = text if once_for is None else once_for
        if watched.told != topic:
            watched.told = topic
            job = self._launch.states.jobs[watched.key]
            self._launch.watcher.note_liveness(job, watched.attempt, text)

    def _cancel(self, watched: Watched) -> None:
        self._launch.executor.cancel(self._attempts.batches.ticket(watched.attempt))

    def _with_heartbeat(self, suspect: Suspect, watched: Watched) -> Suspect:
        """Name the file that says whether a process is still at the attempt, where there is one."""
        storage = self._launch.assigner.storage
        if not storage.is_local:
            return suspect
        name = heartbeat_name(watched.folder, suspect.rank)
        return replace(suspect, heartbeat=str(storage.path(name)))
