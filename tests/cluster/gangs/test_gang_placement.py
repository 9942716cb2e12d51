"""Gangs on several Ray nodes with pretended GPUs: where ranks go, and nodes that are taken away."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.executor import Ending
from cluster.machine.resources import Resources
from tests.real_ray import carrying, first_outcome, head_node

pytestmark = pytest.mark.cluster

CALLS = """
import json, os, time
from pathlib import Path

def where(payload, surroundings):
    import ray
    import torch.distributed as dist
    context = ray.get_runtime_context()
    mine = [context.get_node_id(), context.get_accelerator_ids()["GPU"],
            os.environ["CUDA_VISIBLE_DEVICES"]]
    if surroundings.num_ranks == 1:
        return json.dumps([mine])
    found = [None] * surroundings.num_ranks
    dist.all_gather_object(found, mine)
    return json.dumps(found)

def stay(payload, surroundings):
    Path(f"{payload}-{surroundings.rank}").write_text("")
    while not surroundings.stop_requested():
        time.sleep(0.01)
    return "saved"
"""


@pytest.fixture(scope="module")
def cluster():
    with head_node(0) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def nodes(cluster):
    """Names of a node with two small GPUs and of two nodes with two large ones."""
    added = [
        cluster.add_node(num_cpus=2, num_gpus=2, labels={"gpu_memory_gb": str(size)})
        for size in (24, 80, 80)
    ]
    cluster.wait_for_nodes()
    return [node.node_id for node in added]


@pytest.fixture(scope="module")
def executor(cluster, nodes, tmp_path_factory):
    with carrying(cluster, tmp_path_factory.mktemp("code"), "placed_calls", CALLS) as executor:
        yield executor


def placed(executor, resources):
    """Node, GPUs of its own and visible GPUs of each rank."""
    executor.submit("a", "placed_calls:where", "", resources)
    outcome = first_outcome(executor)
    assert outcome.ending is Ending.RETURNED, outcome.error
    return json.loads(outcome.answer)


def test_nodes_say_how_much_memory_their_gpus_have(executor):
    offered = sorted(node.gpu_memory_gb for node in executor.nodes() if node.num_gpus)
    assert offered == [24, 80, 80]


def test_ranks_are_spread_evenly_over_nodes_with_gpus_that_are_large_enough(executor, nodes):
    asked = Resources(num_gpus=1, num_ranks=4, num_nodes=2, gpu_memory_gb=80)
    ranks = placed(executor, asked)
    assert ranks[0][0] == ranks[1][0] != ranks[2][0] == ranks[3][0]
    assert {name for name, _, _ in ranks} == set(nodes[1:])
    assert [gpus for _, gpus, _ in ranks] == [["0"], ["1"], ["0"], ["1"]]
    assert {visible for _, _, visible in ranks} == {"0,1"}


def test_ranks_of_one_node_share_one_that_is_large_enough(executor, nodes):
    ranks = placed(executor, Resources(num_gpus=1, num_ranks=2, gpu_memory_gb=40))
    assert ranks[0][0] == ranks[1][0]
    assert ranks[0][0] in nodes[1:]


def test_a_call_of_one_process_gets_a_gpu_that_is_large_enough(executor, nodes):
    ((name, _, _),) = placed(executor, Resources(num_gpus=1, gpu_memory_gb=40))
    assert name in nodes[1:]


def test_notice_that_a_node_will_be_taken_away_asks_all_ranks_to_stop(
    executor, cluster, nodes, tmp_path
):
    asked = Resources(num_gpus=1, num_ranks=4, num_nodes=2, gpu_memory_gb=80)
    executor.submit("a", "placed_calls:stay", str(tmp_path / "runs"), asked)
    until = time.monotonic() + 180
    while len(list(tmp_path.iterdir())) < 4:
        assert time.monotonic() < until
        assert not executor.wait(0.2)
    words = ["drain-node", "--address", cluster.address, "--node-id", nodes[1]]
    words += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    words += ["--deadline-remaining-seconds", "600"]
    subprocess.run([Path(sys.executable).with_name("ray"), *words], check=True, capture_output=True)
    outcome = first_outcome(executor, limit_s=60)
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "saved")
