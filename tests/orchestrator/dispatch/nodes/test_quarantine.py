"""A node that fails different jobs gets none for a while; a failed job goes elsewhere at once."""

from collections import Counter

import pytest

from cluster.executor import Ending, NodeRoom, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from orchestrator.dispatch import batches
from orchestrator.dispatch.nodes.quarantine import Quarantine
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.records.events import Ended, LaunchState, Quarantined
from orchestrator.records.failure import NextTry, Result
from orchestrator.records.ledger import read_events

ONE = Resources(num_cpus=1)


class Clock:
    """A clock that only waiting moves."""

    now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Nodes(LocalExecutor):
    """Nodes of one processor at one address; the first that a call may go to takes it.

    Args:
        clock: the clock of the launch.
        faults: node -> the class by which every call fails there.
        names: the nodes.
    """

    def __init__(self, clock, faults, names=("bad", "good")):
        super().__init__()
        self.clock, self.faults, self.names = clock, faults, names
        self.shunned, self.avoided_by, self.calls = frozenset(), {}, []

    def capacity(self):
        return Resources(num_cpus=len(self.names))

    def nodes(self):
        return [ONE for _ in self.names]

    def rooms(self):
        return [
            NodeRoom(name=name, address="10.0.0.1", offers=ONE, free=ONE) for name in self.names
        ]

    def avoid(self, nodes):
        self.shunned = nodes

    def submit(self, ticket, entry, payload, resources, *, avoided=frozenset()):
        self.avoided_by[ticket] = avoided
        super().submit(ticket, entry, payload, resources)

    def wait(self, timeout_s):
        if not self._queue:
            self.clock.sleep(timeout_s)
            return []
        ticket = self._queue[0][0]
        barred = self.shunned | self.avoided_by[ticket]
        node = next(name for name in self.names if name not in barred)
        self.calls.append(node)
        fault_class = self.faults.get(node)
        self.clock.sleep(10)
        if fault_class is None:
            (outcome,) = super().wait(timeout_s)
            return [Outcome(**{**vars(outcome), "node": "10.0.0.1", "node_id": node})]
        self._queue.popleft()
        return [
            Outcome(
                ticket=ticket,
                ending=Ending.LOST,
                error="it died",
                node="10.0.0.1",
                node_id=node,
                fault_class=fault_class,
            )
        ]


class Notes(Watcher):
    """What a launch says of its nodes."""

    def __init__(self):
        self.said = []

    def note_quarantine(self, quarantined):
        self.said.append(str(quarantined))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def patience(clock):
    return Patience(clock=clock, sleep=clock.sleep, draw=lambda: 0.5)


@pytest.fixture(autouse=True)
def one_job_per_call(monkeypatch):
    """Nodes here take one job a call."""
    monkeypatch.setattr(batches, "_MOST_JOBS", 1)


def events_of(root, shape):
    return [event for event in read_events(root, "study") if isinstance(event, shape)]


@pytest.mark.parametrize("fault_class", [FaultClass.GPU, FaultClass.LOST_PROCESS])
def test_a_node_that_fails_different_jobs_gets_none_for_a_while(
    launch, make_probe, root, clock, patience, fault_class
):
    nodes, notes = Nodes(clock, {"bad": fault_class}), Notes()

    report = launch(
        [make_probe(index) for index in range(12)],
        executor=nodes,
        patience=patience,
        watcher=notes,
    )

    assert report.state is LaunchState.COMPLETE
    assert Counter(nodes.calls) == {"good": 12, "bad": Counter(nodes.calls)["bad"]}
    assert 2 <= Counter(nodes.calls)["bad"] <= 4
    (told,) = events_of(root, Quarantined)
    assert told.node.startswith("10.0.0.1") and "bad" in told.node
    assert fault_class.value in told.why
    assert told.until - told.since == pytest.approx(600)
    assert len(notes.said) == 1 and "10 min" in notes.said[0]


def test_a_failed_job_goes_to_another_node_than_the_one_that_it_failed_on(
    launch, make_probe, root, clock, patience
):
    nodes = Nodes(clock, {"bad": FaultClass.LOST_PROCESS})

    launch([make_probe(0)], executor=nodes, patience=patience)

    assert nodes.calls == ["bad", "good"]
    failed, _ = events_of(root, Ended)
    assert failed.decision == NextTry.ELSEWHERE.value
    assert "10.0.0.1" in failed.decided_by and "10 min" in failed.decided_by
    assert "failures by a process that died so far: 1; 4 end the job" in failed.decided_by


def test_a_job_without_another_node_is_tried_where_it_failed(
    launch, make_probe, root, clock, patience
):
    nodes = Nodes(clock, {"only": FaultClass.LOST_PROCESS}, names=("only",))

    report = launch([make_probe(0)], executor=nodes, patience=patience)

    assert report.state is LaunchState.FAILED
    assert nodes.calls == ["only"] * 4
    assert [event.decision for event in events_of(root, Ended)] == ["again"] * 3 + ["give-up"]
    assert not events_of(root, Quarantined)


def test_a_study_whose_jobs_fail_everywhere_puts_no_node_in_quarantine(
    launch, make_probe, root, clock, patience
):
    faults = dict.fromkeys(("bad", "good"), FaultClass.PROGRAM)

    report = launch(
        [make_probe(index) for index in range(6)], executor=Nodes(clock, faults), patience=patience
    )

    assert len(report.failed) == 6
    assert not events_of(root, Quarantined)


@pytest.fixture
def quarantine(clock):
    return Quarantine(clock)


def fail(quarantine, node, keys, fault_class=FaultClass.GPU, stage="train"):
    for key in keys:
        quarantine.note(node, key, stage, Result.ERROR, fault_class)


def succeed(quarantine, node, keys, stage="train"):
    for key in keys:
        quarantine.note(node, key, stage, Result.DONE, None)


def review(quarantine, is_enough=lambda without: True):
    return list(quarantine.review(is_enough))


def test_one_job_that_fails_again_and_again_is_no_case_against_its_node(quarantine):
    fail(quarantine, "one", "aaaa")
    assert not review(quarantine)


def test_a_mistake_of_the_study_is_no_case_against_any_node(quarantine):
    fail(quarantine, "one", "abcd", FaultClass.MISTAKE)
    succeed(quarantine, "two", "efgh")
    assert not review(quarantine)


def test_errors_count_against_a_node_once_the_stage_goes_well_elsewhere(quarantine):
    fail(quarantine, "one", "ab", FaultClass.PROGRAM)
    assert not review(quarantine)
    succeed(quarantine, "two", "c", stage="another")
    assert not review(quarantine)
    succeed(quarantine, "two", "c")
    (began,) = review(quarantine)
    assert began.node == "one" and quarantine.now() == {"one"}


def test_jobs_that_fail_on_two_nodes_are_to_blame_themselves(quarantine):
    fail(quarantine, "one", "ab", FaultClass.PROGRAM)
    fail(quarantine, "two", "ab", FaultClass.PROGRAM)
    succeed(quarantine, "two", "cdefgh")
    assert not review(quarantine)


def test_a_node_on_which_most_goes_well_stays(quarantine):
    succeed(quarantine, "one", "abcdef")
    fail(quarantine, "one", "gh")
    assert not review(quarantine)


def test_a_node_comes_back_and_stays_away_twice_as_long_when_it_fails_at_once(quarantine, clock):
    fail(quarantine, "one", "ab")
    lengths = []
    for _ in range(3):
        (began,) = review(quarantine)
        lengths.append(began.until - began.since)
        clock.sleep(began.until - began.since - 1)
        assert not review(quarantine) and quarantine.now()
        clock.sleep(2)
        (ended,) = review(quarantine)
        assert ended.until <= ended.since + lengths[-1] and not quarantine.now()
        fail(quarantine, "one", "c")
    assert lengths == pytest.approx([600, 1200, 2400])


def test_a_node_that_does_well_after_its_return_is_trusted_again(quarantine, clock):
    fail(quarantine, "one", "ab")
    review(quarantine)
    clock.sleep(601)
    review(quarantine)
    succeed(quarantine, "one", "c")
    fail(quarantine, "one", "d")
    assert not review(quarantine)


def test_no_quarantine_leaves_jobs_without_a_node(quarantine):
    fail(quarantine, "one", "ab")
    assert not review(quarantine, lambda without: False)
    assert review(quarantine)
    # The other node has gone: what was left is all there is.
    (ended,) = review(quarantine, lambda without: not without)
    assert ended.node == "one" and not quarantine.now()
