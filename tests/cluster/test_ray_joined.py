"""The Ray executor on a Ray that was there before: code carried along, a node killed."""

import json
import threading
import time

import pytest

from cluster.delivery.packages import archive_packages
from cluster.executor import Ending
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from tests.real_ray import carrying, first_outcome, head_node

pytestmark = pytest.mark.cluster

CALLS = '''
"""A package that only the launching process can import, unless it is carried."""
import json, os, time
from pathlib import Path
from cluster.executor import Surroundings

def where(payload, surroundings):
    return json.dumps({"file": __file__, "cwd": sorted(os.listdir())})

def archive(payload, surroundings):
    import ray
    return ray.get_runtime_context().runtime_env["working_dir"]

def stay(payload, surroundings):
    Path(payload).write_text(surroundings.node)
    while True:
        time.sleep(0.01)
'''


@pytest.fixture(scope="module")
def nodes():
    """A head of one CPU, with room to add others."""
    with head_node(1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the package, on the path of the launching process alone."""
    return tmp_path_factory.mktemp("code")


@pytest.fixture(scope="module")
def executor(nodes, folder):
    (folder / "secret.txt").write_text("not to be carried")
    with carrying(nodes, folder, "carried_calls", CALLS) as executor:
        yield executor


def test_the_packages_and_nothing_else_are_carried_to_the_cluster(executor, tmp_path_factory):
    executor.submit("a", "carried_calls:where", "", Resources())
    outcome = first_outcome(executor, 90)
    assert outcome.ending is Ending.RETURNED, outcome.error
    seen = json.loads(outcome.answer)
    assert seen["cwd"] == ["carried_calls", "cluster"]
    assert not seen["file"].startswith(str(tmp_path_factory.getbasetemp()))


def test_code_is_sent_as_the_archive_that_ray_was_asked_to_hold(
    executor, folder, tmp_path, monkeypatch
):
    from ray._private.runtime_env.packaging import get_uri_for_package

    monkeypatch.syspath_prepend(folder)
    archive_packages(["cluster", "carried_calls"], tmp_path / "again.zip")
    executor.submit("b", "carried_calls:archive", "", Resources())
    held = get_uri_for_package(tmp_path / "again.zip")
    assert first_outcome(executor, 90).answer == held


def test_a_call_on_a_node_that_dies_is_lost_and_says_where(nodes, executor, tmp_path):
    second = nodes.add_node(num_cpus=2)
    nodes.wait_for_nodes()
    ticking, until = threading.Event(), time.monotonic() + 60
    while len(executor.nodes()) < 2 and time.monotonic() < until:
        ticking.wait(0.05)  # it is looked at first
    assert sorted(node.num_cpus for node in executor.nodes()) == [1, 2]
    assert executor.capacity().num_cpus == 3
    executor.submit("a", "carried_calls:stay", str(tmp_path / "node"), Resources(num_cpus=2))
    until = time.monotonic() + 30
    while not (tmp_path / "node").exists() and time.monotonic() < until:
        ticking.wait(0.05)
    node = (tmp_path / "node").read_text()

    nodes.remove_node(second, allow_graceful=False)

    outcome = first_outcome(executor, 90)
    assert (outcome.ending, outcome.fault_class) == (Ending.LOST, FaultClass.LOST_NODE)
    assert outcome.node == node
    until = time.monotonic() + 60
    while len(executor.nodes()) > 1 and time.monotonic() < until:
        ticking.wait(0.05)
    assert [node.num_cpus for node in executor.nodes()] == [1]


def test_a_call_goes_to_another_node_than_those_that_it_avoids(nodes, executor):
    second = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    until = time.monotonic() + 60
    while len(executor.rooms()) < 2 and time.monotonic() < until:
        executor.wait(0.2)
    names = [room.name for room in executor.rooms()]
    for number, avoided in enumerate(names * 2):
        words = (f"avoiding-{number}", "carried_calls:where", "", Resources(num_cpus=1))
        executor.submit(*words, avoided=frozenset({avoided}))
        outcome = first_outcome(executor, 90)
        assert outcome.ending is Ending.RETURNED, outcome.error
        assert outcome.node_id in names and outcome.node_id != avoided
    nodes.remove_node(second)
