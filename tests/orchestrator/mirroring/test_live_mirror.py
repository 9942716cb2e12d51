"""The run that follows a study: a process beside the launch, closed however the launch ends."""

import os
import subprocess
import sys

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.mirroring import live_mirror
from orchestrator.mirroring.live_mirror import LiveMirror
from orchestrator.mirroring.names import live_name
from tests.chain import CHAIN
from tests.wandb_files import inspect


@pytest.fixture
def study(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("DELTASCALE_ROOT", str(tmp_path / "results"))
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    return str(file)


def summaries(tmp_path):
    """What W&B's own program says of each piece of the live run, in the order they began."""
    root = Storage(tmp_path / "results")
    name = live_name(root, "chain", "").id
    files = sorted((tmp_path / "results/studies/chain/wandb").glob(f"wandb/*-{name}/*.wandb"))
    return [inspect(file, "--summary") for file in files]


@pytest.mark.slow
def test_a_launch_is_followed_and_the_run_says_how_it_ended(study, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(live_mirror, "BEGINS_AFTER_S", 0.0)
    monkeypatch.setattr(live_mirror, "_LEFT_AFTER_S", 60.0)
    begin = LiveMirror.begin
    monkeypatch.setattr(LiveMirror, "begin", lambda self: started.append(begin(self)))
    assert main(["launch", study, "--executor", "local"]) == 0
    assert started
    (run,) = summaries(tmp_path)
    assert (run["name"], run["state"], run["exit_code"]) == ("chain live", "finished", 0)
    last = run["summary"]
    assert last["state"] == "complete"
    assert (last["jobs/done"], last["jobs/failed"], last["jobs/waiting"]) == (6, 0, 0)
    assert (last["done/base"], last["attempts"], last["gpu_hours"]) == (2, 6, 0)
    assert last["study/hours"] > 0
    assert run["config"] == {
        "stage": "live",
        "study": "chain",
        "root": run["config"]["root"],
    }


def test_a_launch_that_is_killed_leaves_no_run_that_runs(study, tmp_path):
    assert main(["launch", study, "--executor", "local", "--only", "base"]) == 0
    code = """
import sys, os, time
from cluster.storage import Storage
from orchestrator.mirroring.live_mirror import LiveMirror
mirror = LiveMirror(Storage(sys.argv[1]), "chain", "launch")
mirror.begin()
print(mirror._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    words = [sys.executable, "-c", code, str(tmp_path / "results")]
    process = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert process.returncode == -9
    wait_for(int(process.stdout))
    (run,) = summaries(tmp_path)
    assert (run["state"], run["exit_code"]) == ("failed", 1)
    assert run["summary"]["state"] == "killed"
    assert (run["summary"]["jobs/done"], run["summary"]["jobs/waiting"]) == (2, 4)


def wait_for(pid):
    """Wait until a process that is no child of ours has gone."""
    import psutil

    gone, _ = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=90)
    assert gone or not psutil.pid_exists(pid)


def test_where_w_and_b_is_switched_off_or_the_launch_is_short_nothing_is_started(
    study, tmp_path, monkeypatch
):
    def refuse(self):
        raise AssertionError("a process was started")

    monkeypatch.setattr(LiveMirror, "begin", refuse)
    assert main(["launch", study, "--executor", "local", "--only", "base"]) == 0
    monkeypatch.setattr(live_mirror, "BEGINS_AFTER_S", 0.0)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["launch", study, "--executor", "local"]) == 0
