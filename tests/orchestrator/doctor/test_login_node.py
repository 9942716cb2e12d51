"""On a login node the doctor asks SLURM what a profile names, and starts nothing heavy."""

import json
import os
import subprocess

import pytest

from orchestrator.cli import main
from tests.process_weight import require_light, weighed
from tests.slurm_commands import answering

__all__ = ["answering"]

PROFILE = """\
kind: slurm
root: {root}
nodes: [{{count: 2, cpus: 16, memory: 64GB, gpus: 2, gpu: A100, partition: gpu}}]
limits: {{time: 12h, account: proj}}
"""
SINFO = "main*|infinite|2|2|6000|(null)\ngpu|2-00:00:00|4|64|515000|gpu:a100:8(S:0-1)\n"


@pytest.fixture
def profile(tmp_path, answering, monkeypatch):
    """Be at a login node with a profile `hpc` that fits the site."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = tmp_path / "config" / "deltascale" / "profiles" / "hpc.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(PROFILE.format(root=tmp_path / "root"))
    answering("sinfo", SINFO)
    answering("sacctmgr", "proj\n")
    return path


def findings(capsys, code):
    assert main(["doctor", "--on", "hpc", "--json"]) == code
    return json.loads(capsys.readouterr().out)["findings"]


def test_a_profile_is_held_against_the_site(profile, capsys):
    found = findings(capsys, 0)
    queue = [f for f in found if f["check"] == "queue"]
    assert [f["verdict"] for f in queue] == ["ok", "ok"]
    assert "in gpu: SLURM has 4" in queue[0]["value"]
    (left_out,) = [f for f in found if "only a job of the queue" in f["value"]]
    assert left_out["verdict"] == "not checked"
    assert "all-reduce" in left_out["value"] and "gpus" in left_out["value"]
    assert "all-reduce" not in {f["check"] for f in found}


def test_what_the_site_refuses_is_bad(profile, capsys):
    profile.write_text(profile.read_text().replace("time: 12h", "time: 3d"))
    (bad,) = [f for f in findings(capsys, 1) if f["verdict"] == "bad"]
    assert (bad["check"], bad["remedy"].partition(";")[0]) == ("queue", "mend the profile")
    assert "3-00:00:00 is above the 2-00:00:00 of gpu" in bad["value"]


def test_it_costs_a_login_node_little(profile):
    done = subprocess.run(
        weighed("doctor", "--on", "hpc"), env=os.environ, capture_output=True, text=True, check=True
    )
    require_light(done.stderr)
