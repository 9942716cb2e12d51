"""The doctor on a Ray of three nodes: all is well, and each planted fault is told and placed."""

import contextlib
import io
import json
import resource
from importlib import metadata

import pytest

from orchestrator.cli import main
from orchestrator.doctor.examination import check_names
from tests.real_ray import head_node

pytestmark = pytest.mark.cluster

SLOW_CLOCK = """
import time
_now = time.time
time.time = lambda: _now() - 90
"""
"""What Python runs first where it is on its path: a node whose clock is 90 s behind."""


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    """A Ray of three nodes; the third has another trl, a slow clock and few descriptors."""
    plants = tmp_path_factory.mktemp("plants")
    (plants / "sitecustomize.py").write_text(SLOW_CLOCK)
    other = plants / "trl-0.0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: trl\nVersion: 0.0.1\n")
    with head_node(1) as cluster:
        cluster.add_node(num_cpus=1)
        third = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(plants)})
        cluster.wait_for_nodes()
        for raylet in third.all_processes["raylet"]:
            resource.prlimit(raylet.process.pid, resource.RLIMIT_NOFILE, (900, 900))
        yield cluster, third.node_id


@pytest.fixture(scope="module")
def document(ray, tmp_path_factory):
    cluster, _ = ray
    root = tmp_path_factory.mktemp("root")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["doctor", "--address", cluster.address, "--root", str(root), "--json"])
    assert code == 1
    assert not list(root.iterdir()), "probes are left behind"
    return json.loads(out.getvalue())


@pytest.fixture(scope="module")
def third(ray, document):
    (name,) = [name for name in document["nodes"] if name.endswith(f":{ray[1][:4]}")]
    return name


def values(document, check, verdict):
    found = document["findings"]
    return [f["value"] for f in found if (f["check"], f["verdict"]) == (check, verdict)]


def test_every_check_runs_on_three_nodes(document):
    assert len(document["nodes"]) == 3
    assert list(dict.fromkeys(f["check"] for f in document["findings"])) == check_names()
    assert not [f for f in document["findings"] if "the check failed" in f["value"]]


def test_what_is_well_is_told_of_all_nodes_at_once(document):
    (root,) = values(document, "root", "ok")
    assert root.startswith("3 nodes: shared")
    assert values(document, "locks", "ok") == ["3 nodes: a lock that is held here is held there"]
    assert values(document, "ports", "ok") == ["3 nodes reach each other"]
    (summed,) = values(document, "all-reduce", "ok")
    assert summed.startswith("3 ranks on 3 nodes, gloo over ")


def test_each_planted_fault_is_told_and_placed(document, third):
    assert document["is_fit"] is False
    assert values(document, "versions", "bad") == [
        f"{third}: trl 0.0.1 (here {metadata.version('trl')})"
    ]
    (clock,) = values(document, "clock", "bad")
    assert clock.startswith(f"{third} is 1 min ") and clock.endswith(" behind this machine")
    assert values(document, "limits", "bad") == [f"{third}: 900 open files a process"]
    (token,) = values(document, "ray", "warning")
    assert "asks nobody for a token" in token
