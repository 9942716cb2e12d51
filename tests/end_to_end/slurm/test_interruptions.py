"""A study on SLURM goes on after whatever ends its allocation, and ends as it would anywhere."""

import pytest

from tests.end_to_end.slurm.studies import numbers, probes
from tests.slurm_site.user import run_locally

pytestmark = pytest.mark.slurm


def test_a_study_goes_on_after_the_time_limit_to_the_table_of_one_process(
    site, user, tmp_path
) -> None:
    # The limit is asked for as it is: SLURM may send its word a minute earlier than said.
    user.write_profile(
        nodes="{count: 2, cpus: 1, memory: 2GB}", limits="time: 3min, save_before: 60s"
    )
    queued = user.launch(numbers(tmp_path, pauses=12, seconds=25))
    job = queued["job"]
    assert user.wait_until_over(job, 900) == "COMPLETED", user.logs()
    assert int(site.job(job)["Restarts"]) >= 1
    assert user.status("numbers")["state"] == "complete"
    whole = run_locally(numbers(tmp_path, pauses=12, seconds=0), tmp_path / "local")
    assert user.measurements("numbers") == whole


def test_a_node_that_an_administrator_takes_down(site, user, tmp_path) -> None:
    job = user.launch(probes(tmp_path, "downed", count=6, seconds=15))["job"]
    user.wait_until(lambda: user.done() >= 1, "a job is done")
    site.set_node("n2", "down")
    site.wait_for(job, "PENDING")
    site.set_node("n2", "resume")
    assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert user.status("downed")["state"] == "complete"


def test_the_first_node_dies_with_the_launch_on_it(site, user, tmp_path) -> None:
    job = user.launch(probes(tmp_path, "killed", count=6, seconds=15))["job"]
    user.wait_until(lambda: user.done() >= 1, "a job is done")
    first = site.job(job)["BatchHost"]
    site.kill_slurmd(first)
    site.wait_for(job, "PENDING")
    site.start_slurmd(first)
    assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert user.status("killed")["state"] == "complete"


def test_a_job_of_a_higher_partition_takes_its_place_and_gives_it_back(
    site, user, tmp_path
) -> None:
    job = user.launch(probes(tmp_path, "preempted", count=6, seconds=15))["job"]
    user.wait_until(lambda: user.done() >= 1, "a job is done")
    urgent = ("--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--mem=100")
    other = site.checked("sbatch", "--parsable", *urgent, "--wrap=true").strip()
    site.wait_for(other, "COMPLETED", limit_s=180)
    assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert user.status("preempted")["state"] == "complete"


def test_a_requeue_by_hand_after_which_nothing_of_the_start_before_is_left(
    site, user, tmp_path
) -> None:
    job = user.launch(probes(tmp_path, "requeued", count=6, seconds=15))["job"]
    user.wait_until(lambda: user.done() >= 1, "a job is done")
    site.checked("scontrol", "requeue", job)
    site.wait_for(job, "PENDING")
    for node in site.nodes.values():
        # SLURM may have killed what would have tidied up; folders of this minute are left alone.
        node.call("find", "/mnt", "-name", "ds-*", "-exec", "touch", "-d", "1 hour ago", "{}", "+")
    assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert user.status("requeued")["state"] == "complete"
    assert [node.call("ls", "/mnt") for node in site.nodes.values()] == ["", ""]


def test_cancel_takes_it_out_of_the_queue_when_asked(site, user, tmp_path) -> None:
    before = {name: node.call("ls", "/mnt") for name, node in site.nodes.items()}
    study = probes(tmp_path, "cancelled", count=6, seconds=60)
    job = user.launch(study)["job"]
    user.wait_until(lambda: user.running() >= 1, "a job runs")
    done = user.run("cancel", "cancelled", "--scancel", "--root", str(user.root))
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.wait_until_over(job, 120) == "CANCELLED"
    for name, node in site.nodes.items():
        assert {process.name() for process in node.processes()} == {"slurmd"}
        assert node.call("ls", "/mnt") == before[name]
    assert user.status("cancelled")["state"] != "running"
