"""Calls that a Ray kills because its node has no memory left, or so it was told."""

import os
import time

import psutil
import pytest

from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.resources import Resources

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
    (tmp_path / "filling_calls.py").write_text(CALLS)
    memory = psutil.virtual_memory()
    full = (memory.total - memory.available + 1.5e9) / memory.total
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        patch.setenv("RAY_memory_usage_threshold", f"{full:.4f}")
        patch.setenv("RAY_memory_monitor_refresh_ms", "100")
        executor = Executor(offered=Resources(num_cpus=2))
        executor.start()
        yield executor
        executor.close()


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_call_killed_for_its_nodes_memory_says_so_and_where(executor, num_ranks):
    executor.submit("a", "filling_calls:fill", "", Resources(num_ranks=num_ranks))
    until = time.monotonic() + 120
    while not (outcomes := executor.wait(0.2)):
        assert time.monotonic() < until
    assert outcomes[0].ending is Ending.OUT_OF_MEMORY, outcomes[0].error
    assert outcomes[0].node
