"""What a login node of a cluster is asked for: no heavy library, and little memory."""

import os
import subprocess

import pytest

from cluster.storage import Storage
from tests.launching import launch_locally
from tests.process_weight import require_light, weighed

STUDY = """\
study: light
axes: {index: [1, 2]}
stages:
  wait: {kind: probe, over: [index], params: {index: "${index}"}}
"""
PROFILE = """\
kind: slurm
root: ROOT
nodes: [{count: 2, cpus: 32, memory: 400GB, gpus: 8, gpu: A100-80GB, price: 10}]
currency: EUR
limits: {time: 10h}
"""


@pytest.fixture(scope="module")
def login(tmp_path_factory):
    """A function that runs `deltascale` and returns what it wrote to standard error."""
    folder = tmp_path_factory.mktemp("login")
    root, study = folder / "root", folder / "light.yaml"
    plan = launch_locally(Storage(str(root)), study, STUDY)
    profiles = folder / "config" / "deltascale" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "hpc.yaml").write_text(PROFILE.replace("ROOT", str(root)))
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    environment.pop("DELTASCALE_CONFIG", None)
    key = plan.jobs[0].key[:16]

    def run(*words):
        words = [key if word == "KEY" else word for word in words]
        captured = {"capture_output": True, "text": True, "check": True}
        return subprocess.run(weighed(*words), env=environment, **captured).stderr

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "tests/end_to_end/miniature.yaml", "--on", "hpc"),
        ("status", "light", "--on", "hpc"),
        ("logs", "light", "KEY", "--on", "hpc"),
        ("why", "light", "KEY", "--on", "hpc"),
        ("cancel", "light", "--on", "hpc"),
    ],
    ids=lambda words: f"{words[0]} {words[1]}",
)
def test_verbs_of_a_login_node_are_light(login, words) -> None:
    require_light(login(*words))
