"""The jobs of a launch that wait: for their inputs, for their turn, or for another launch."""

import math
import time
from collections.abc import Iterable, Sequence

from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from jobs.kind import Fit
from orchestrator.dispatch.batches import Pace, may_share_call
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.policy import priorities
from orchestrator.dispatch.ready_jobs import ReadyJobs
from orchestrator.dispatch.running_launch import RunningLaunch
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.dispatch.waiting.parked_jobs import ParkedJobs
from orchestrator.dispatch.worker_messages import RequestWriters
from orchestrator.plan.fitting import apply_fit, choose_fit, chooses_layout, why_unfit
from orchestrator.plan.machines import Machines, can_hold, refusal
from orchestrator.plan.upstream_facts import UpstreamFacts
from orchestrator.records.events import Refused

_REJOINED_WITHIN_S = 300.0
"""How long the nodes of a cluster that was lost may take to join it again."""


class JobQueue:
    """Moves waiting jobs on: lays them out for the machines there are, or gives them up."""

    def __init__(self, launch: RunningLaunch) -> None:
        self.machines = Machines(launch.executor)
        self.ready = ReadyJobs()
        self.parked = ParkedJobs(launch.patience)
        self.pace = Pace()
        self.writers = RequestWriters()
        """Its threads end with the loop's."""
        self.priorities = priorities(
            list(launch.states.jobs.values()), launch.retention.reads.keys()
        )
        self._planned = dict(launch.states.jobs)
        """The jobs as the plan has them, before any layout."""
        self._layouts: dict[str, Fit] = {}
        self._to_lay_out: dict[str, None] = {}
        self._unwanted: set[str] = set()
        self._refuses_from = -math.inf
        self._upstream = UpstreamFacts(self._planned, launch.records.record)
        self._launch = launch
        self._states = launch.states
        for key in launch.states.in_state(JobState.DONE):
            self._upstream.add_done(self._planned[key])

    def take_company(self, key: str, num_slots: int) -> Sequence[str]:
        """Take out the ready jobs that one call may do after a job that was taken out.

        Args:
            key: the job.
            num_slots: how many such calls the machines hold at once; each gets its share.
        """
        job, past = self._states.jobs[key], self._launch.journal.past
        if not self._launch.assigner.storage.is_local or not may_share_call(job, past.of_job(key)):
            return []

        def fits(other: str) -> bool:
            stage = self._states.jobs[other].stage
            return stage == job.stage and may_share_call(
                self._states.jobs[other], past.of_job(other)
            )

        share = self.ready.num_of(job.resources) // (2 * max(1, num_slots))
        most = min(self.pace.most_together(job.stage) - 1, share)
        return self.ready.take_more(job.resources, most, fits=fits) if most > 0 else []

    def request(self, keys: Sequence[str]) -> Sequence[str]:
        """Write down what is asked of jobs; return those whose place is not taken."""
        jobs = [self._states.jobs[key] for key in keys]
        # What lies in a job's place, such as a link, is no reason to end the others.
        refused = self.writers.write(self._launch.assigner.storage, jobs)
        for key, fault in refused.items():
            self.refuse(key, str(fault))
        return [key for key in keys if key not in refused]

    def layout(self, key: str) -> Fit | None:
        """Return how a job is laid out; None where its kind leaves that to the study."""
        return self._layouts.get(key)

    @property
    def is_laid_out(self) -> bool:
        """True when no job waits to be laid out."""
        return not self._to_lay_out

    def expected_bytes(self, key: str) -> int | None:
        """Return the most bytes that a job may leave; None where its kind cannot tell."""
        return self._upstream.expected_bytes(self._planned[key])

    def shapes(self) -> frozenset[Resources]:
        """Return what the jobs need that are not done, each shape once."""
        keys = [
            key
            for state in (JobState.WAITING, JobState.RUNNING)
            for key in self._states.in_state(state)
        ]
        return frozenset(self._states.jobs[key].resources for key in keys)

    def settle_past(self) -> None:
        """Fail jobs whose retries earlier launches spent; block jobs that cannot have an input."""
        for key in self._states.in_state(JobState.WAITING):
            past = self._launch.journal.past.of_job(key)
            if past.given_up and self._is_waiting(key):
                message = past.message or "it failed in an earlier launch"
                self.drop(key, JobState.FAILED, message)
        self._states.block_strays()

    def survey(self) -> bool:
        """Look at the machines and refuse what none ever could hold; True when they have changed.

        What a node of this launch could hold that has gone waits for it, or for one as large.
        """
        if not self.machines.refresh():
            return False
        nodes = self.machines.known
        for key in [] if self._is_forbearing else self._states.in_state(JobState.WAITING):
            job = self._states.jobs[key]
            if (
                self._is_waiting(key)
                and not chooses_layout(job)
                and not can_hold(nodes, job.resources)
            ):
                self.refuse(key, refusal(nodes, job.resources))
        self.make_ready(self.ready.take_all())
        self.make_ready(self.parked.take_waiting_for(FaultClass.LOST_NODE))
        return True

    def forbear(self) -> None:
        """Refuse nothing for a while: the cluster came back, and its nodes may come one by one."""
        self._refuses_from = self._launch.patience.clock() + _REJOINED_WITHIN_S

    @property
    def _is_forbearing(self) -> bool:
        return self._launch.patience.clock() < self._refuses_from

    def make_ready(self, keys: Iterable[str]) -> None:
        """Let jobs wait for their turn, from the next `lay_out` on."""
        self._to_lay_out.update(dict.fromkeys(keys))

    def lay_out(self) -> None:
        """Lay out the jobs that are ready now; those that no machine can hold wait, or are refused.

        Where a storage or the machines do not answer, what was not laid out is so the next time.
        """
        for key in list(self._to_lay_out):
            if self._is_waiting(key):
                why_not = self._lay_out(key)
                if why_not is not None:
                    if self._why_unfit(key, self.machines.known) is None:
                        self._wait_for_node(key, why_not)
                    elif self._is_forbearing:
                        continue
                    else:
                        self.refuse(key, why_not)
                else:
                    self.ready.add(key, self.priorities[key], self._states.jobs[key].resources)
            del self._to_lay_out[key]

    def finish(self, key: str) -> None:
        """Mark a job as done, and make ready what waited for it alone."""
        self.parked.forget(key)
        self._upstream.add_done(self._planned[key])
        self.make_ready(self._states.finish(key))

    def park(self, key: str) -> None:
        """Let a job wait until another launch has done it, or a pause is over."""
        self._states.put_back(key)
        self.parked.add(key)

    def wait(self, key: str, wait: Wait, *, is_new: bool) -> None:
        """Let a job wait for its surroundings, from now on or still."""
        self._states.put_back(key)
        self.parked.add_waiting(key, wait, is_new=is_new)

    def retry(self, key: str) -> None:
        """Let a job wait for another try, unless no machine can hold it any more."""
        self._states.put_back(key)
        self.parked.forget(key)
        self.make_ready([key])

    def cancel(self, keys: frozenset[str]) -> None:
        """Take jobs out of the queue, and remember that nobody wants them in this launch."""
        self._unwanted |= keys
        self.ready.remove(keys)
        for key in keys:
            self.parked.forget(key)
            if self._is_waiting(key):
                self.drop(key, JobState.CANCELLED, "cancelled before it started")

    def renew(self, keys: frozenset[str]) -> None:
        """Let jobs wait for another try that failed or were cancelled, or that wait for a pause."""
        self._unwanted -= keys
        parked = [key for key in keys if key in self.parked]
        for key in parked:
            self.parked.forget(key)
        self.make_ready([*parked, *self._states.revive(keys)])

    def is_unwanted(self, key: str) -> bool:
        """Return True for a job that somebody asked to cancel."""
        return key in self._unwanted

    def drop(self, key: str, state: JobState, because: str) -> None:
        """Mark a job as failed or cancelled, and block what needs it."""
        self.parked.forget(key)
        self._states.drop(key, state, because)
        self._launch.watcher.note_drop(self._states.jobs[key], state, because)

    def refuse(self, key: str, message: str) -> None:
        """Fail a job that cannot be tried here; the ledger keeps why, and charges nothing."""
        self._launch.journal.append(Refused(at=time.time(), key=key, message=message))
        self.ready.remove(frozenset({key}))
        self.drop(key, JobState.FAILED, message)

    def _lay_out(self, key: str) -> str | None:
        """Replace a job by its layout for these machines; return why none can hold it, or None."""
        nodes = self.machines.nodes
        if not nodes:
            # An executor that starts with none may yet get some.
            return "no node is left" if self.machines.known else None
        layout = self._choose_fit(key, nodes)
        if layout is not None:
            self._layouts[key] = layout
            self._states.jobs[key] = apply_fit(self._planned[key], layout)
        return why_unfit(self._planned[key], layout, nodes, self.machines.most_ranks)

    def _why_unfit(self, key: str, nodes: Sequence[Resources]) -> str | None:
        """Say why nodes that may not be there now could not hold a job; None when they could."""
        layout = self._choose_fit(key, nodes)
        return why_unfit(self._planned[key], layout, nodes, self.machines.most_ranks)

    def _choose_fit(self, key: str, nodes: Sequence[Resources]) -> Fit | None:
        return choose_fit(
            self._planned[key],
            self.machines.as_planned_for(nodes),
            self._launch.journal.past.of_job(key),
            self._upstream,
            is_alone=self.machines.most_ranks == 1,
        )

    def _wait_for_node(self, key: str, why_not: str) -> None:
        """Park a job until a node that has gone, or one as large, is there again."""
        wait = Wait(
            fault_class=FaultClass.LOST_NODE,
            message=why_not,
            since=time.time(),
            began=self._launch.patience.clock(),
        )
        self.parked.add_waiting(key, wait, is_new=False)

    def _is_waiting(self, key: str) -> bool:
        return self._states.by_key[key] is JobState.WAITING
