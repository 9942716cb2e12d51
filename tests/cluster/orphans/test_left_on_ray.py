"""On a Ray that others use, too, only what an earlier launch of the same study left is ended."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from cluster.executors.ray import Executor
from cluster.orphans.launch_label import LaunchLabel, labelled
from tests.real_ray import TICK, head_node, is_gone

pytestmark = pytest.mark.cluster

LABEL = LaunchLabel(root="root", study="ladder", launch="20260102T000000-2")
CALLS = '''
import os, time
from pathlib import Path

def stay(payload, surroundings):
    import ray
    from ray.util.placement_group import placement_group
    ray.remote(Kept).options(name="kept", lifetime="detached", num_cpus=0).remote()
    placement_group([{"CPU": 0.1}], lifetime="detached", name="kept")
    Path(payload).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)

class Kept:
    """An actor that outlives its driver."""
'''
LAUNCH = """
import sys
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from cluster.orphans.launch_label import LaunchLabel, labelled
with labelled(LaunchLabel.parse(sys.argv[2])):
    executor = Executor(address=sys.argv[1], packages=["cluster", "staying"])
    executor.start()
executor.submit("t", "staying:stay", sys.argv[3], Resources(num_cpus=1))
print(executor._process.pid, flush=True)
while True:
    executor.wait(1)
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a launch in a process of its own; returns that, its driver's and its worker's pid."""
    (tmp_path / "staying").mkdir()
    (tmp_path / "staying/__init__.py").write_text(CALLS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    started = []

    def start(address, label):
        place = tmp_path / f"pid-{len(started)}"
        words = [sys.executable, "-c", LAUNCH, address, str(label), str(place)]
        launch = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(launch)
        driver = int(launch.stdout.readline())
        while not place.exists() or not place.read_text():
            TICK.wait(0.1)
        return launch, driver, int(place.read_text())

    yield start
    for launch in started:
        launch.kill()
        launch.wait()
        launch.stdout.close()


def kept(namespace):
    from ray.util import list_named_actors

    return [one for one in list_named_actors(all_namespaces=True) if one["namespace"] == namespace]


@pytest.mark.slow
def test_a_driver_that_hangs_without_its_launch_is_ended_and_other_studies_are_left_alone(start):
    import ray

    with head_node(3) as nodes:
        earlier = LaunchLabel(root="root", study="ladder", launch="20260101T000000-1")
        other = LaunchLabel(root="root", study="another", launch="20260101T000000-1")
        launch, driver, worker = start(nodes.address, earlier)
        other_launch, other_driver, other_worker = start(nodes.address, other)
        os.kill(driver, signal.SIGSTOP)
        launch.kill()
        assert not is_gone(driver, 3)

        with labelled(LABEL):
            executor = Executor(address=nodes.address, packages=["cluster"])
            executor.start()
        try:
            assert is_gone(driver) and is_gone(worker)
            assert other_launch.poll() is None
            assert not is_gone(other_driver, 1) and not is_gone(other_worker, 1)
            ray.init(address=nodes.address, log_to_driver=False)
            assert not kept(str(earlier)) and len(kept(str(other))) == 1
            groups = ray.util.placement_group_table().values()
            assert [group["state"] for group in groups].count("CREATED") == 1
        finally:
            with contextlib.suppress(Exception):
                ray.shutdown()
            with contextlib.suppress(ProcessLookupError):
                os.kill(driver, signal.SIGKILL)
            executor.close()
