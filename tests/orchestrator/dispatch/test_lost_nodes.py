"""A node that goes is waited for, and so is one as large; what none ever held is refused at once.

The clock is the test's: every wait of the launch moves it on.
"""

import math
from dataclasses import dataclass

import pytest

from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.history import gather
from orchestrator.records.ledger import read_events

SMALL, LARGE = Resources(num_cpus=1), Resources(num_cpus=8)


@dataclass
class Clock:
    """A clock that only waiting moves."""

    now: float = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def patience(self, **settings):
        return Patience(clock=self, sleep=self.sleep, draw=lambda: 0.5, **settings)


@pytest.fixture
def clock():
    return Clock()


class Cluster(LocalExecutor):
    """A small node, and a large one that dies under its first call and is away for a while.

    A call on it ends as `ending` says; None: by itself only once it is cancelled.
    """

    def __init__(self, clock, *, away_s=60.0, left=(SMALL,), back=(LARGE,), ending=Ending.LOST):
        super().__init__()
        self.clock, self.away_s, self.ending = clock, away_s, ending
        self.left, self.back = left, back
        self.gone_at = None
        self.hanging = []

    def capacity(self):
        return Resources(num_cpus=sum(node.num_cpus for node in self.nodes()))

    def nodes(self):
        if self.gone_at is None:
            return [*self.left, LARGE]
        is_away = self.clock() < self.gone_at + self.away_s
        return [*self.left] if is_away else [*self.left, *self.back]

    def wait(self, timeout_s):
        self.clock.sleep(timeout_s)
        if self.gone_at is None and self._queue:
            self.gone_at = self.clock()
            self.hanging = [ticket for ticket, _, _ in self._queue]
            self._queue.clear()
        ended = [
            ticket
            for ticket in self.hanging
            if self.ending is Ending.LOST or self.was_asked(ticket)
        ]
        self.hanging = [ticket for ticket in self.hanging if ticket not in ended]
        return [
            Outcome(
                ticket=ticket,
                ending=self.ending,
                error="its node died",
                fault_class=FaultClass.LOST_NODE if self.ending is Ending.LOST else None,
            )
            for ticket in ended
        ] or (super().wait(timeout_s) if self._queue else [])

    def was_asked(self, ticket):
        return ticket in self._cancelled


def endings(root):
    return [event for event in read_events(root, "study") if isinstance(event, Ended)]


@pytest.mark.parametrize("left", [(SMALL,), ()])
@pytest.mark.parametrize("away_s", [3.0, 60.0, 3600.0])
def test_a_job_goes_on_when_its_node_is_there_again(launch, make_probe, clock, left, away_s):
    large = make_probe(0, num_cpus=8)
    jobs = [large, make_probe(1), make_probe(2, after=large, num_cpus=8)]

    report = launch(
        jobs, executor=Cluster(clock, away_s=away_s, left=left), patience=clock.patience()
    )

    assert report.state is LaunchState.COMPLETE
    # It is noticed when the node is there: no pause of minutes comes after that.
    assert clock() - 1000 < away_s + 20
    assert not gather(read_events(launch.root, "study")).of_job(large.key).failures


def test_one_as_large_does_as_well(launch, make_probe, clock):
    other = Cluster(clock, back=(Resources(num_cpus=16),))

    report = launch([make_probe(0, num_cpus=8)], executor=other, patience=clock.patience())

    assert report.state is LaunchState.COMPLETE


@pytest.mark.parametrize("left", [(SMALL,), ()])
def test_after_its_patience_the_launch_ends_and_nothing_has_failed(launch, make_probe, clock, left):
    large, small = make_probe(0, num_cpus=8), make_probe(1)
    below = make_probe(2, after=large)
    cluster = Cluster(clock, away_s=math.inf, left=left)
    patience = clock.patience(gives_up_after_s=600.0)

    report = launch([large, small, below], executor=cluster, patience=patience)

    assert report.state is LaunchState.SUSPENDED and report.exit_code == 75
    assert report.ran == ([small.key] if left else [])
    assert not report.failed and not report.blocked
    assert "a node in place of the lost one" in report.waited_for
    assert 600 < clock() - 1000 < 700
    assert launch([large, small, below]).state is LaunchState.COMPLETE


def test_what_no_node_of_the_launch_ever_held_is_refused_at_once(launch, make_probe, clock):
    huge, large, small = make_probe(0, num_cpus=9), make_probe(1, num_cpus=8), make_probe(2)

    report = launch([huge, large, small], executor=Cluster(clock), patience=clock.patience())

    assert set(report.ran) == {large.key, small.key}
    assert "no node can hold it: needs 9 CPUs" in report.failed[huge.key]
    assert not launch.artifact(huge).attempts()


@pytest.mark.parametrize("num_losses", [1, 6])
def test_an_attempt_that_is_cancelled_because_its_node_is_gone_is_charged_nothing(
    launch, make_probe, clock, num_losses
):
    class Queued(Cluster):
        """The call waits for the node until it is cancelled; this comes to pass several times."""

        def __init__(self, clock):
            super().__init__(clock, ending=Ending.CANCELLED)
            self.num_losses = 0

        def nodes(self):
            nodes = super().nodes()
            if len(nodes) == 2 and self.gone_at is not None and self.num_losses < num_losses - 1:
                self.num_losses += 1
                self.gone_at = None
            return nodes

    large = make_probe(0, num_cpus=8)

    report = launch([large], executor=Queued(clock), patience=clock.patience())

    assert report.state is LaunchState.COMPLETE
    *lost, done = endings(launch.root)
    assert [(end.result, end.fault_class) for end in lost] == [
        (Result.LOST, FaultClass.LOST_NODE)
    ] * num_losses
    assert done.result is Result.DONE
    assert not gather(read_events(launch.root, "study")).of_job(large.key).failures
