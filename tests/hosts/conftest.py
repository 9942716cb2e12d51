"""Three hosts with a Ray and an object storage, and what a study comes to on one host alone."""

import os
import subprocess
import sys

import pytest

from tests.hosts.ray_over_hosts import STUDY, Site
from tests.network_namespaces import Network

_LONGEST_S = 900


@pytest.fixture
def start():
    """A function: names of hosts -> a site of them, started; all ends with the test."""
    networks = []

    def started(*names, **options):
        networks.append(Network("store", *names))
        site = Site(networks[-1], **options)
        site.start()
        return site

    yield started
    for network in networks:
        network.close()


@pytest.fixture(scope="session")
def one_host(tmp_path_factory):
    """A folder with all tables of the study as one host gives them, both ranks on it."""
    root = tmp_path_factory.mktemp("one-host")
    study = root / "study.yaml"
    study.write_text(STUDY.read_text().replace("num_nodes: 2", "num_nodes: 1"))
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study)]
    done = subprocess.run(
        [*words, "--root", str(root / "results")],
        env={**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "results/studies/three-hosts/tables/table"
