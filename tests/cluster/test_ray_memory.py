"""Calls that a Ray kills because its node has no memory left, or so it was told."""

import time

import psutil
import pytest

from cluster.executor import Ending
from cluster.resources import Resources
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
"""


@pytest.fixture
def executor(tmp_path):
    """A Ray that takes its node for full when it holds 1.5 GB more than now."""
    memory = psutil.virtual_memory()
    full = (memory.total - memory.available + 1.5e9) / memory.total
    watched = {
        "RAY_memory_usage_threshold": f"{full:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    with calling(tmp_path, "filling_calls", CALLS, Resources(num_cpus=2), **watched) as executor:
        yield executor


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_call_killed_for_its_nodes_memory_says_so_and_where(executor, num_ranks):
    executor.submit("a", "filling_calls:fill", "", Resources(num_ranks=num_ranks))
    until = time.monotonic() + 120
    while not (outcomes := executor.wait(0.2)):
        assert time.monotonic() < until
    assert outcomes[0].ending is Ending.OUT_OF_MEMORY, outcomes[0].error
    assert outcomes[0].node
