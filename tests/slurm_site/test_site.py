"""The site of these tests is a SLURM: it runs, refuses, loses nodes, requeues and preempts."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.network_namespaces import TICK
from tests.slurm_site.configuration import Site
from tests.slurm_site.recorded import VERSIONS, recorded
from tests.slurm_site.running import running

pytestmark = pytest.mark.slurm
SLEEP = ("sbatch", "--parsable", "--output=/dev/null", "--mem=100")
KILLED = """\
import os, signal
from tests.slurm_site.running import running
with running() as site:
    site.checked("sbatch", "--output=/dev/null", "--wrap=sleep 1234567")
    site.wait_for(1, "RUNNING")
    print(site.folder, *(host.init for host in site.hosts.hosts.values()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def site():
    with running(Site(grace_s=1, kill_wait_s=2)) as site:
        yield site


def test_a_step_runs_on_both_nodes_which_are_hosts_of_their_own(site) -> None:
    said = site.checked(
        "srun", "--nodes=2", "--mem=100", "bash", "-c", "hostname; cat /proc/1/comm"
    )
    assert sorted(said.split()) == ["n1", "n2", "tini", "tini"]


def test_a_node_that_is_down_ends_its_jobs_and_they_are_queued_again(site) -> None:
    job = site.checked(*SLEEP, "--nodelist=n2", "--wrap=sleep 1000").strip()
    site.wait_for(job, "RUNNING")
    site.set_node("n2", "down")
    site.wait_for(job, "PENDING")
    assert site.job(job)["Restarts"] == "1"
    site.set_node("n2", "resume")
    site.checked("scancel", job)
    site.wait_for_nodes("idle")


def test_jobs_of_a_dead_node_are_queued_again_and_the_node_comes_back(site) -> None:
    job = site.checked(*SLEEP, "--nodelist=n2", "--wrap=sleep 1000").strip()
    site.wait_for(job, "RUNNING")
    site.kill_slurmd("n2")
    assert not site.nodes["n2"].processes()
    site.wait_for(job, "PENDING")
    site.checked("scancel", job)
    site.start_slurmd("n2")
    site.wait_for_nodes("idle")


def test_a_job_in_the_higher_partition_takes_the_place_of_others(site) -> None:
    jobs = [site.checked(*SLEEP, "--exclusive", "--wrap=sleep 1000").strip() for _ in range(2)]
    for job in jobs:
        site.wait_for(job, "RUNNING")
    urgent = site.checked(*SLEEP, "--partition=urgent", "--exclusive", "--nodes=2", "--wrap=true")
    site.wait_for(urgent.strip(), "COMPLETED")
    assert {site.state(job) for job in jobs} == {"PENDING"}
    site.checked("scancel", *jobs)
    site.wait_for_nodes("idle")


def test_what_was_recorded_is_what_this_version_says(site) -> None:
    version = site.checked("sinfo", "--version").split()[-1]
    if version not in VERSIONS:
        pytest.skip(f"nothing is recorded of SLURM {version}")
    for name in ("sbatch, no such partition", "sacct without accounting", "squeue of no job"):
        answer = recorded(version)[name]
        done = site.command("bash", "-c", answer.command)
        assert (done.returncode, done.stdout, done.stderr) == answer[1:], name


def test_nothing_is_left_of_a_site_whose_owner_was_killed() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    _, *inits = done.stdout.split()
    for init in map(int, inits):
        for _ in range(500):
            if not psutil.pid_exists(init):
                break
            TICK.wait(0.01)
        assert not psutil.pid_exists(init)
    lines = [
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    ]
    assert not [line for line in lines if line == "sleep 1234567"]


def test_without_root_it_is_refused_in_one_sentence() -> None:
    code = "import os; from tests.slurm_site.__main__ import main; os.setuid(65534); exit(main())"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": "/bin"})
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "root" in done.stderr
