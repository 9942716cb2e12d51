"""Notices of preemption reach a job, and a head that does not answer keeps it from nothing."""

import threading

import pytest

from cluster.nodes import ray_nodes
from cluster.nodes.ray_nodes import Preemption
from tests.real_ray import TICK


@pytest.fixture
def head(monkeypatch):
    """A head that answers what it is told to, as long as it is not silent."""

    class Head:
        draining, answers = {}, threading.Event()
        num_asked = 0

        def get_draining_nodes(self):
            self.num_asked += 1
            assert self.answers.wait(60)
            if isinstance(self.draining, Exception):
                raise self.draining
            return self.draining

    head = Head()
    head.answers.set()
    monkeypatch.setattr(ray_nodes, "_state", lambda: head)
    monkeypatch.setattr(ray_nodes, "_LOOK_EVERY_S", 0.01)
    yield head
    head.answers.set()


def comes_to_affect(preemption, names, within_s=20):
    for _ in range(int(within_s / 0.01)):
        if preemption.affects(frozenset(names)):
            return True
        TICK.wait(0.01)
    return False


def test_a_notice_is_heard_by_the_jobs_of_that_node_alone(head):
    preemption = Preemption()
    head.draining = {"one": 17}
    assert comes_to_affect(preemption, ["one", "two"])
    assert not preemption.affects(frozenset({"two"}))


def test_while_the_head_says_nothing_a_job_is_not_kept_waiting(head):
    head.answers.clear()
    head.draining = {"one": 17}
    preemption = Preemption()
    assert not comes_to_affect(preemption, ["one"], within_s=0.2)
    assert head.num_asked == 1, "one question at a time"
    head.answers.set()
    assert comes_to_affect(preemption, ["one"])


def test_an_error_of_the_head_is_no_error_of_the_job(head):
    head.draining = RuntimeError("the head has gone")
    preemption = Preemption()
    assert not comes_to_affect(preemption, ["one"], within_s=0.2)
    head.draining = {"one": 17}
    assert comes_to_affect(preemption, ["one"])
