"""Jobs on a Ray that is started as people start one: taken, refused, and lost with the cluster."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from cluster.detached.ray_job_server import is_rival
from orchestrator.cli import main
from orchestrator.detached.following import follow_log
from tests.real_ray import TICK, HeadEnded, free_ports, wait_until_up

pytestmark = [pytest.mark.cluster, pytest.mark.job_server]

_STARTS = 3
TOKEN = "0123456789abcdef" * 4
STUDY = """\
study: two
axes: {index: [1, 2]}
stages:
  probes: {kind: probe, over: index, params: {index: "${index}", seconds: SECONDS}}
"""


@contextlib.contextmanager
def head(with_server=True):
    """A head that asks for a token, with or without the dashboard that takes jobs.

    Ray itself may end at its start, before any of our code runs: then there is another try.
    """
    with contextlib.ExitStack() as started:
        for number in range(_STARTS):
            try:
                port = started.enter_context(_head(with_server))
                break
            except HeadEnded:
                if number + 1 == _STARTS:
                    raise
        yield port


@contextlib.contextmanager
def _head(with_server):
    port, *ports = free_ports(4)
    folder = tempfile.mkdtemp(prefix="dsj", dir="/tmp")  # short: sockets lie in it
    words = ["start", "--head", "--block", "--num-cpus", "2", "--port", str(port)]
    words += ["--temp-dir", folder, "--include-dashboard", str(with_server).lower()]
    words += ["--dashboard-port", str(ports[0]), "--dashboard-agent-listen-port", str(ports[1])]
    words += ["--ray-client-server-port", str(ports[2])]
    words += ["--min-worker-port", "0", "--max-worker-port", "0"]
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with open(f"{folder}.txt", "w+b") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *words],
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            wait_until_up(process, port, *ports[: int(with_server)])  # and its dashboard
            yield port
        except HeadEnded as fault:
            output.seek(0)
            raise HeadEnded(f"{fault}: {output.read()[-2000:].decode(errors='replace')}") from None
        finally:
            family = []
            with contextlib.suppress(psutil.NoSuchProcess):
                family = psutil.Process(process.pid).children(recursive=True)
            for member in [*family, process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family, timeout=20)
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
            os.unlink(output.name)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("LAB_HOOK", "https://hooks.example.org/services/not-for-others")
    # The head is on this machine, and may listen beyond loopback.
    monkeypatch.setenv("DELTASCALE_ALLOW_OPEN_RAY", "1")
    path = tmp_path / "two.yaml"
    path.write_text(STUDY.replace("SECONDS", "0"))
    return path


def launch(study, port, capsys, *words, code=0):
    words = ["launch", str(study), "--detach", "--address", f"127.0.0.1:{port}", *words]
    assert main([*words, "--root", str(study.parent / "root"), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def wait_for(study, text):
    until = time.monotonic() + 180
    while time.monotonic() < until:
        shown = subprocess.run(
            [
                sys.executable,
                "-m",
                "orchestrator.cli",
                "status",
                "two",
                "--root",
                str(study.parent / "root"),
            ],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[3],
        ).stdout
        if text in shown:
            return shown
        TICK.wait(0.5)
    raise AssertionError(shown)


def test_a_job_runs_a_study_goes_on_elsewhere_and_shows_no_secret(study, capsys):
    from cluster.storage import Storage

    root = Storage(study.parent / "root")
    study.write_text(STUDY.replace("SECONDS", "600"))
    with head() as port:
        said = launch(study, port, capsys)
        assert said["job"].startswith("deltascale-two-")
        fault = launch(study, port, capsys, code=3)  # running, or about to
        assert said["job"] in json.dumps(fault)
        wait_for(study, "2 running")
    assert "ended without a word" in wait_for(study, "interrupted")
    study.write_text(STUDY.replace("SECONDS", "0"))
    with head() as port:
        again = launch(study, port, capsys)
        assert "two: complete" in "".join(follow_log(root, "two", again["submission"]))
        listed = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from ray.job_submission import JobSubmissionClient; "
                "print(JobSubmissionClient(sys.argv[1]).list_jobs())",
                f"127.0.0.1:{port}",
            ],
            env={**os.environ, "RAY_AUTH_MODE": "token"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert again["job"] in listed
    assert TOKEN not in listed and "not-for-others" not in listed


def test_a_head_without_a_job_server_is_refused_in_a_sentence(study, capsys):
    with head(with_server=False) as port:
        fault = launch(study, port, capsys, code=3)
    assert "no job server" in fault["error"]
    assert "deltascale[cluster]" in fault["hint"]


def test_jobs_of_other_studies_and_roots_are_no_rivals():
    ours = {"study": "two", "root": "/data/mine", "launch": "1"}
    assert is_rival({**ours, "launch": "0"}, ours)
    for other in ({"study": "two-more"}, {"root": "/data/hers"}):
        assert not is_rival({**ours, **other}, ours)
    assert not is_rival({}, ours)
