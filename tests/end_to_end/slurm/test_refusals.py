"""A queue that says no: one sentence, nothing half-made, and the next launch is as the first."""

import pytest

from tests.end_to_end.slurm.studies import probes
from tests.slurm_site.configuration import Site
from tests.slurm_site.running import running
from tests.slurm_site.user import User

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def site():
    """A site that refuses at once what a partition does not allow."""
    with running(Site(are_limits_enforced=True)) as site:
        yield site


@pytest.fixture
def user(site, tmp_path):
    return User(site, tmp_path)


@pytest.mark.parametrize(
    ("limits", "nodes", "said"),
    [
        ("time: 10min, save_before: 60s, partition: mian", None, "main"),
        ("time: 10min, save_before: 60s, partition: closed, account: nosuch", None, "account"),
        ("time: 2d, save_before: 60s, partition: short", None, "time"),
        ("time: 10min, save_before: 60s", "{count: 9, cpus: 2, memory: 2GB}", "node"),
        ("time: 10min, save_before: 60s", "{count: 1, cpus: 64, memory: 2GB}", "cores"),
        ("time: 10min, save_before: 60s", "{count: 1, cpus: 2, memory: 900GB}", "memory"),
        (
            "time: 10min, save_before: 60s",
            "{count: 1, cpus: 2, memory: 2GB, gpus: 1, gpu: A100-80GB}",
            "gres",
        ),
    ],
)
def test_it_is_said_in_one_message_and_nothing_is_left(
    site, user, tmp_path, limits, nodes, said
) -> None:
    study = probes(tmp_path, "refused", count=9, seconds=1, more=", num_gpus: 0")
    changed = {} if nodes is None else {"nodes": nodes}
    user.write_profile(limits=limits, **changed)
    refused = user.run("launch", str(study), "--on", "hpc")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr and said in refused.stderr.lower(), refused.stderr
    assert "sbatch: error" not in refused.stderr
    alive = [job for job in site.jobs() if job["job_state"] in ("PENDING", "RUNNING")]
    assert not alive
    shown = user.run("status", "refused", "--root", str(user.root))
    assert "running" not in shown.stdout.splitlines()[:1], shown.stdout
    user.write_profile(nodes="{count: 1, cpus: 1, memory: 1GB}")
    job = user.launch(study)["job"]
    site.checked("scancel", job)


def test_a_check_of_the_profile_says_the_same_before_anything_is_submitted(site, user) -> None:
    user.write_profile(limits="time: 10min, save_before: 60s, partition: short")
    good = user.run("profile", "check", "hpc")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "2 nodes of 2 CPUs" in good.stdout and "in short: SLURM has 2" in good.stdout
    user.write_profile(limits="time: 2d, save_before: 60s, partition: short")
    bad = user.run("profile", "check", "hpc")
    assert bad.returncode == 1 and "is above the 00:10:00 of short" in bad.stdout, bad.stdout


def test_a_controller_that_is_away_is_no_fault_of_the_study(site, user, tmp_path) -> None:
    user.write_profile()
    site.daemons["slurmctld"].kill()
    site.daemons.pop("slurmctld").wait()
    study = probes(tmp_path, "away", count=2, seconds=1)
    try:
        refused = user.run("launch", str(study), "--on", "hpc")
        shown = user.run("status", "away", "--root", str(user.root))
    finally:
        site.start_controller()
        site.wait_for_nodes("idle")
    assert refused.returncode not in (0, 1), refused.stdout
    assert "Traceback" not in refused.stderr and "slurm" in refused.stderr.lower()
    assert "Traceback" not in shown.stderr
    site.checked("scancel", user.launch(study)["job"])
