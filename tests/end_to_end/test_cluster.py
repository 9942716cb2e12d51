"""A study on a Ray of three nodes that was there before, joined with --address."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.entries.files import KIND, NUMBERS, write

MINIATURE = str(Path(__file__).parent / "miniature.yaml")

_THREE_NODES = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster that asks for a token, in a process that ends it when its standard input closes."""
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    # As a launch finds it: nothing says that this cluster asks for a token.
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    process = subprocess.Popen(
        [sys.executable, "-c", _THREE_NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"},
    )
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told = line.strip()
        if told.startswith("127.") or told.count(".") == 3:
            break
    yield told
    process.communicate(input="", timeout=120)


@pytest.mark.cluster
def test_own_entries_reach_the_workers_of_joined_nodes(
    command: Any, address: str, tmp_path: Path
) -> None:
    files = {"kinds/note.py": KIND, "_numbers.py": NUMBERS}
    write(tmp_path / "own/entries", {**files})
    study = tmp_path / "own/own.yaml"
    study.write_text(
        """study: own
entries: ./entries
axes: {index: [1, 2, 3]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  noted: {kind: note, inputs: {after: first}, params: {index: "${index}"}}
  table: {kind: compare, gather: [noted], params: {figures: false}}
"""
    )
    done = command.run("launch", str(study), "--address", address)
    assert done.returncode == 0, done.stderr
    assert "7 ran" in done.stdout


@pytest.mark.cluster
def test_three_joined_nodes_give_the_same_measurements_as_one_process(
    undisturbed: Any, command: Any, address: str
) -> None:
    done = command.run("launch", MINIATURE, "--address", address)
    assert done.returncode == 0, done.stderr
    assert command.measurements() == undisturbed.measurements()
