"""What a profile of kind `slurm` is held against, and what somebody else's may not do unasked."""

import json
from pathlib import Path

import pytest

from orchestrator.cli import main

_PROFILE = """\
kind: slurm
root: {root}
nodes:
  - {{count: 2, cpus: 16, memory: 64GB, gpus: 2, gpu: A100, partition: gpu, gres: "gpu:a100:2"}}
  - {{count: 1, cpus: 2}}
limits: {{time: 12h, account: proj, qos: high}}
scratch: /local
interface: ib0
"""
_SINFO = "main*|infinite|2|2|6000|(null)\ngpu|2-00:00:00|4|64|515000|gpu:a100:8(S:0-1)\n"


@pytest.fixture
def profile(own: Path, home: Path, answering) -> Path:
    """Be at a login node, with a profile `hpc` that fits the site."""
    path = own / "hpc.yaml"
    path.write_text(_PROFILE.format(root=home / "root"))
    answering("sinfo", _SINFO)
    answering("sacctmgr", "proj\nhigh,normal\n")
    return path


def check(capsys, code: int) -> list[str]:
    """Return what is not as it should be."""
    assert main(["profile", "check", "hpc", "--json"]) == code
    findings = json.loads(capsys.readouterr().out)["findings"]
    return [finding["text"] for finding in findings if not finding["is_good"]]


def test_a_profile_that_fits_the_site_is_good(profile, answering, capsys) -> None:
    assert check(capsys, 0) == []
    answering("sacctmgr", errors="Slurm accounting storage is disabled", code=1)
    assert check(capsys, 0) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("partition: gpu", "partition: gpus"), "unknown partition 'gpus'; there are: gpu, main"),
        (("count: 2", "count: 5"), "in gpu: SLURM has 4 such"),
        (("gpu:a100:2", "gpu:h100:2"), "in gpu: SLURM has 0 such"),
        (("gpus: 2", "gpus: 9"), "in gpu: SLURM has 0 such"),
        (("memory: 64GB", "memory: 600GB"), "in gpu: SLURM has 0 such"),
        (("cpus: 2}", "cpus: 3}"), "in main: SLURM has 0 such"),
        (("time: 12h", "time: 3d"), "3-00:00:00 is above the 2-00:00:00 of gpu"),
        (("account: proj", "account: prog"), "account: prog is not yours; there are: "),
        (("qos: high", "qos: higher"), "qos: higher is not yours; there are: high, normal"),
    ],
)
def test_what_the_site_does_not_have_is_said(profile, capsys, change, message) -> None:
    profile.write_text(profile.read_text().replace(*change))
    (fault,) = check(capsys, 1)
    assert message in fault


def test_a_site_that_cannot_be_asked_is_said(profile, answering, monkeypatch, capsys) -> None:
    answering("sinfo", errors="slurm_load_partitions: Unable to contact slurm controller", code=1)
    (fault,) = check(capsys, 1)
    assert "controller does not answer" in fault
    monkeypatch.setenv("PATH", "/nonexistent")
    assert check(capsys, 0) == []
    assert main(["profile", "check", "hpc"]) == 0
    assert "not looked at: no sinfo here" in capsys.readouterr().out


@pytest.mark.parametrize("text", [_PROFILE, "kind: slurm\nnodes: [{{cpus: 1}}]\n"])
def test_what_somebody_elses_profile_submits_is_asked_about(
    study, home, answering, text, capsys
) -> None:
    (study.parent / "profiles" / "lab.yaml").write_text(text.format(root=home / "root"))
    asked = answering("sbatch", "4711\n")
    answering("squeue")
    assert main(["launch", str(study), "--on", "lab", "--json"]) == 2
    fault = json.loads(capsys.readouterr().out)["error"]
    if text == _PROFILE:
        for part in (
            f"keeps results in {home / 'root'}",
            "up to 2 nodes of partition gpu (gpu:a100:2), for 12:00:00 each at most",
            "up to 1 node, for 12:00:00 each at most",
            "the account proj",
            "quality of service high",
            "writes into /local",
            "the interface ib0",
        ):
            assert part in fault
    assert "submits batch jobs on up to 1 node" in fault
    assert not asked.exists()
