"""Calls that a Ray kills because its node has no memory left, or so it was told."""

import contextlib
import subprocess
import sys
import time

import psutil
import pytest

from cluster.executor import Ending
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from tests.real_ray import calling

pytestmark = pytest.mark.slow

CALLS = """
import time

def fill(payload, surroundings):
    held = []
    for _ in range(40):
        held.append(bytearray(b"x" * 100_000_000))
        time.sleep(0.05)
    time.sleep(60)
    return "there was room"

def hold(payload, surroundings):
    held = bytearray(b"x" * 200_000_000)
    time.sleep(float(payload))
    return "there was room"
"""
NEIGHBOUR = """
import sys
held = []
print("begun", flush=True)
for _ in range(20):
    held.append(bytearray(b"x" * 100_000_000))
print("full", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def watched(folder, room):
    """A Ray that takes its node for full when it holds so many bytes more than now."""
    memory = psutil.virtual_memory()
    full = (memory.total - memory.available + room) / memory.total
    variables = {
        "RAY_memory_usage_threshold": f"{full:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    with calling(folder, "filling_calls", CALLS, Resources(num_cpus=2), **variables) as executor:
        yield executor


@pytest.fixture
def executor(tmp_path):
    with watched(tmp_path, 2.5e9) as executor:
        yield executor


@pytest.fixture
def cramped(tmp_path):
    with watched(tmp_path, 1.5e9) as executor:
        yield executor


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_call_killed_for_its_nodes_memory_says_so_and_where(executor, num_ranks):
    executor.submit("a", "filling_calls:fill", "", Resources(num_ranks=num_ranks))
    until = time.monotonic() + 120
    while not (outcomes := executor.wait(0.2)):
        assert time.monotonic() < until
    assert outcomes[0].ending is Ending.OUT_OF_MEMORY, outcomes[0].error
    assert outcomes[0].node
    assert outcomes[0].fault_class is FaultClass.OUT_OF_MEMORY


@contextlib.contextmanager
def neighbour():
    """A process of 2 GB that has nothing to do with Ray."""
    words = [sys.executable, "-c", NEIGHBOUR]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        yield process
        process.stdin.close()


def ended(executor, count, limit_s=120):
    outcomes, until = [], time.monotonic() + limit_s
    while len(outcomes) < count:
        assert time.monotonic() < until, outcomes
        outcomes += executor.wait(0.2)
    return outcomes


def test_what_a_neighbour_took_is_its_fault_and_calls_wait_until_there_is_room(cramped):
    cramped.submit("a", "filling_calls:hold", "120", Resources(memory_gb=1))
    cramped.submit("b", "filling_calls:hold", "120", Resources())
    assert cramped.wait(3) == []
    with neighbour() as process:
        for outcome in ended(cramped, 2):
            assert outcome.ending is Ending.LOST, outcome
            assert outcome.fault_class is FaultClass.HOST_MEMORY
            assert "the largest process beside it has" in outcome.error
            assert f"({process.pid})" in outcome.error or "python" in outcome.error
            assert outcome.node == "127.0.0.1"
        assert process.stdout.readline() == b"full\n"
        cramped.submit("c", "filling_calls:hold", "0", Resources(memory_gb=0.5))
        cramped.submit("d", "filling_calls:hold", "0", Resources(memory_gb=0.5))
        assert cramped.wait(5) == []
        assert [node.num_cpus for node in cramped.free()] == [0]
        assert [node.num_cpus for node in cramped.nodes()] == [2]
        cramped.cancel("d")
        (cancelled,) = ended(cramped, 1)
        assert (cancelled.ticket, cancelled.ending) == ("d", Ending.CANCELLED)
    (outcome,) = ended(cramped, 1)
    assert (outcome.ticket, outcome.answer) == ("c", "there was room")
