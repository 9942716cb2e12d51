"""Nodes of a joined Ray that have other libraries or other code: refused, or given no call."""

import json
import platform

import pytest

from cluster.delivery.node_versions import NodeVersions, look_here
from cluster.errors import SurroundingsError
from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from tests.real_ray import TICK, first_outcome, head_node

HERE = NodeVersions(host="a", libraries={"torch": "2.13.0+cpu", "trl": "1.16.0"}, code="c1")


def test_equal_machines_differ_in_nothing_and_builds_do_not_count():
    other = NodeVersions(host="b", libraries={"trl": "1.16.0", "torch": "2.13.0+cu130"}, code="c1")
    assert HERE.differences(other) == []


def test_every_difference_is_named():
    other = NodeVersions(host="b", libraries={"torch": "2.12.1+cpu"}, code="c2")
    assert HERE.differences(other) == [
        "torch 2.12.1+cpu (here 2.13.0+cpu)",
        "trl is missing (here 1.16.0)",
        "other code of deltascale than this launch sent",
    ]


def test_a_library_that_is_not_here_is_not_asked_for():
    seen = look_here(["cluster"], ["numpy", "no-such-distribution"])
    assert list(seen.libraries) == ["numpy"]
    assert seen.host == platform.node()
    assert len(seen.code) == 64


def _other_version(folder, name):
    """Make a folder on whose path a library has another version."""
    info = folder / f"{name}-99.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.9\n")
    return {"PYTHONPATH": str(folder)}


def _executor(nodes):
    return Executor(address=nodes.address, packages=["cluster"], libraries=["safetensors", "numpy"])


@pytest.mark.cluster
def test_a_ray_with_a_node_of_other_versions_is_refused_with_the_list(tmp_path):
    with head_node(1) as nodes:
        nodes.add_node(num_cpus=1, env_vars=_other_version(tmp_path / "site", "safetensors"))
        nodes.wait_for_nodes()
        executor = _executor(nodes)
        with pytest.raises(SurroundingsError) as caught:
            executor.start()
    assert "safetensors 99.9 (here " in caught.value.error
    assert platform.node() in caught.value.error
    assert "numpy" not in caught.value.error
    assert "same environment" in caught.value.hint


@pytest.mark.cluster
def test_a_node_of_other_versions_that_comes_later_is_told_and_gets_no_call(tmp_path, caplog):
    with head_node(1) as nodes:
        executor = _executor(nodes)
        executor.start()
        try:
            nodes.add_node(num_cpus=3, env_vars=_other_version(tmp_path / "site", "numpy"))
            nodes.add_node(num_cpus=2)
            for _ in range(240):
                sizes = sorted(node.num_cpus for node in executor.nodes())
                if sizes == [1, 2] and "numpy 99.9" in caplog.text:
                    break
                TICK.wait(0.5)
            assert sizes == [1, 2]
            assert caplog.text.count("numpy 99.9") == 1
            executor.submit("a", "json:dumps", json.dumps("x"), Resources(num_cpus=2))
            assert first_outcome(executor).ending in (Ending.RETURNED, Ending.RAISED)
        finally:
            executor.close()
