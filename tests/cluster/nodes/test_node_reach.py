"""A machine on which nothing listens any more says so at once; one that is silent may be slow."""

import socket

import pytest

from cluster.machine.resources import Resources
from cluster.nodes import node_reach
from cluster.nodes.node_reach import NodeReach, answers
from cluster.nodes.ray_nodes import Node


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(node_reach, "time", clock)
    return clock


@pytest.fixture
def listener():
    listening = socket.create_server(("127.0.0.1", 0))
    yield listening
    listening.close()


@pytest.fixture
def node(listener):
    return Node(
        name="node",
        host="host",
        offers=Resources(num_cpus=1),
        address="127.0.0.1",
        port=listener.getsockname()[1],
        is_alive=True,
        labels={},
    )


def looks(reach, node, clock, number):
    seen = []
    for _ in range(number):
        clock.now += 1
        seen.append(bool(reach.cut_off([node])))
    return seen


def test_a_node_that_refuses_twice_after_it_answered_is_dead(node, listener, clock):
    reach = NodeReach()
    assert looks(reach, node, clock, 3) == [False] * 3 and answers(node)
    listener.close()
    assert looks(reach, node, clock, 2) == [False, True]
    assert not answers(node)


def test_a_node_that_listens_again_is_no_dead_one(node, listener, clock):
    reach = NodeReach()
    looks(reach, node, clock, 1)
    listener.close()
    assert looks(reach, node, clock, 2)[-1]
    with socket.create_server(("127.0.0.1", node.port)):
        assert looks(reach, node, clock, 1) == [False]


def test_a_node_that_never_answered_may_have_something_between_that_refuses(node, listener, clock):
    listener.close()
    assert looks(NodeReach(), node, clock, 30) == [False] * 30
