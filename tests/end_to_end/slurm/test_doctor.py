"""The doctor at a login node, and inside an allocation of two nodes, where it asks them by srun."""

import json
import sys

import pytest

pytestmark = pytest.mark.slurm


def test_a_login_node_is_told_that_only_a_job_sees_the_nodes(user) -> None:
    done = user.run("doctor", "--on", "hpc", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert any("only a job of the queue sees the nodes" in f["value"] for f in findings)


def test_in_an_allocation_every_node_is_asked(user) -> None:
    doctor = (sys.executable, "-m", "orchestrator.cli", "doctor", "--on", "hpc", "--json")
    done = user.site.command("salloc", "-N2", *doctor, env=user.environment, timeout=400)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["nodes"] == sorted(user.site.nodes)
    found = {}
    for finding in document["findings"]:
        found.setdefault(finding["check"], []).append((finding["verdict"], finding["value"]))
    made, shared = found["root"][:2]  # nothing was launched here before
    assert made[1].endswith("there is none yet: a launch makes it")
    assert shared[1].startswith("2 nodes: shared")
    assert found["versions"][0][1].startswith("2 nodes: this code")
    assert found["ports"] == [("ok", "2 nodes reach each other")]
    assert found["all-reduce"][0][1].startswith("2 ranks on 2 nodes, gloo over eth0")
