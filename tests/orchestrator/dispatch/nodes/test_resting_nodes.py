"""A node on which jobs meet what the launch does not meet gets few of them, and the others many."""

from collections import Counter

import pytest

from cluster.errors import SurroundingsError
from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from jobs.worker.answer import Answer, Fault, State
from orchestrator.dispatch import batches
from orchestrator.dispatch.nodes.resting_nodes import RestingNodes
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.events import LaunchState
from orchestrator.records.failure import Result


class Clock:
    """A clock that only waiting moves."""

    now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def patience(clock):
    return Patience(clock=clock, sleep=clock.sleep, draw=lambda: 0.5)


@pytest.fixture(autouse=True)
def one_job_per_call(monkeypatch):
    """Nodes here count calls, and answer for one job."""
    monkeypatch.setattr(batches, "_MOST_JOBS", 1)


class Nodes(LocalExecutor):
    """Nodes of one processor; of those that are free the first gets the next call.

    On a node in `ill` a call fails at once, elsewhere it takes ten seconds.
    """

    def __init__(self, clock, names, ill, fault_class=FaultClass.STORAGE_AWAY):
        super().__init__()
        self.clock, self.names, self.ill, self.fault_class = clock, names, set(ill), fault_class
        self.avoided, self.num_calls = frozenset(), Counter()

    def capacity(self):
        return Resources(num_cpus=len(self.names))

    def nodes(self):
        return [Resources(num_cpus=1) for _ in self.names]

    def avoid(self, nodes):
        self.avoided = nodes

    def wait(self, timeout_s):
        if not self._queue:
            self.clock.sleep(timeout_s)
            return []
        node = next(name for name in self.names if name not in self.avoided)
        self.num_calls[node] += 1
        if node not in self.ill:
            self.clock.sleep(10)
            (outcome,) = super().wait(timeout_s)
            return [Outcome(**{**vars(outcome), "node": node})]
        self.clock.sleep(0.1)
        fault = Fault.of(SurroundingsError("no answer", fault_class=self.fault_class))
        answer = Answer(state=State.FAILED, fault=fault, node=node).to_json()
        (ticket, *_) = self._queue.popleft()
        return [Outcome(ticket=ticket, ending=Ending.RETURNED, answer=answer, node="all of them")]


def test_a_node_that_fails_every_job_at_once_is_no_trap(launch, make_probe, clock, patience):
    jobs = [make_probe(index) for index in range(20)]
    nodes = Nodes(clock, ["ill", "well"], ["ill"])

    report = launch(jobs, executor=nodes, patience=patience)

    assert report.state is LaunchState.COMPLETE
    assert nodes.num_calls["well"] == 20
    # It is tried again after 2, 4, 8, … seconds, and the study takes 200.
    assert 1 <= nodes.num_calls["ill"] <= 9
    assert clock() - 1000 < 260


def test_a_node_that_is_well_again_works_on(launch, make_probe, clock, patience):
    nodes = Nodes(clock, ["ill", "well"], ["ill"])
    avoid = nodes.avoid

    def recover_meanwhile(avoided):
        avoid(avoided)
        if clock() > 1030:
            nodes.ill.clear()

    nodes.avoid = recover_meanwhile
    report = launch([make_probe(index) for index in range(20)], executor=nodes, patience=patience)

    assert report.state is LaunchState.COMPLETE
    assert nodes.num_calls["ill"] > 5


def test_what_all_nodes_meet_lets_none_of_them_rest(patience):
    resting = RestingNodes(patience)
    for node in ("one", "two", "three"):
        resting.note(node, Result.ERROR, FaultClass.STORAGE_AWAY)
    assert resting.now(4) == {"one", "two", "three"}
    assert resting.now(3) == frozenset()


def test_a_node_rests_twice_as_long_each_time_until_something_goes_well(patience, clock):
    resting = RestingNodes(patience)
    pauses = []
    for _ in range(4):
        resting.note("one", Result.ERROR, FaultClass.NETWORK)
        began = clock()
        while resting.now(2):
            clock.sleep(0.5)
        pauses.append(clock() - began)
    assert pauses == [2, 4, 8, 16]
    resting.note("one", Result.DONE, None)
    resting.note("one", Result.ERROR, FaultClass.NETWORK)
    clock.sleep(2)
    assert not resting.now(2)


@pytest.mark.parametrize(
    "fault_class", [FaultClass.MISTAKE, FaultClass.PROGRAM, FaultClass.CLUSTER, FaultClass.NO_ROOM]
)
def test_faults_that_would_meet_the_job_anywhere_are_not_the_nodes(patience, fault_class):
    resting = RestingNodes(patience)
    resting.note("one", Result.ERROR, fault_class)
    resting.note(None, Result.ERROR, FaultClass.NETWORK)
    assert not resting.now(2)
