"""Where SLURM queues no job again, the next of a chain goes on."""

from pathlib import Path

import pytest

from tests.end_to_end.slurm.studies import LIGHT_AND_HEAVY, probes, two_stages
from tests.slurm_site.configuration import Site
from tests.slurm_site.running import running
from tests.slurm_site.user import User

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def site():
    """A site where no job is requeued, and ended ones are soon not shown any more."""
    with running(Site(is_requeue_allowed=False, jobs_age_s=5, kill_wait_s=5, gpus=1)) as site:
        yield site


def test_a_chain_goes_on_after_a_lost_node_and_its_rest_leaves_the_queue(site, tmp_path) -> None:
    user = User(site, tmp_path)
    user.write_profile(limits="time: 10min, save_before: 60s, again: chain, allocations: 3")
    queued = user.launch(probes(tmp_path, "chained", count=6, seconds=15))
    (allocation,) = queued["allocations"]
    first, second, third = allocation["jobs"]
    assert queued["job"] == first
    user.wait_until(lambda: user.done() >= 1, "a job is done")
    site.set_node("n2", "down")
    site.wait_until(lambda: site.alive(first) is None, f"{first} has ended", 60)
    site.set_node("n2", "resume")
    user.wait_until(lambda: site.alive(second) is None, f"{second} is over")
    assert user.status("chained")["state"] == "complete", user.logs()
    site.wait_until(lambda: site.alive(third) is None, f"{third} is taken back", 60)


def test_where_it_was_not_known_a_chain_is_made_and_said(site, tmp_path) -> None:
    user = User(site, tmp_path)
    user.write_profile()
    queued = user.launch(probes(tmp_path, "once", count=6, seconds=15))
    (allocation,) = queued["allocations"]
    first, second, *rest = allocation["jobs"]
    user.wait_until(lambda: user.done() >= 1, "a job is done")
    site.checked("scancel", "--batch", "--signal=USR1", first)  # as before its time limit
    for job in (first, second):
        user.wait_until(lambda job=job: site.alive(job) is None, f"{job} is over")
    assert user.status("once")["state"] == "complete", user.logs()
    assert "the next job of the chain goes on" in user.logs()
    assert "launch once more" not in user.logs()
    for job in rest:
        site.wait_until(lambda job=job: site.alive(job) is None, f"{job} is taken back", 60)


@pytest.mark.parametrize(
    "again", ["again: chain, allocations: 2", "again: requeue"], ids=["asked for", "by itself"]
)
def test_the_second_allocation_begins_when_the_spare_jobs_of_the_first_are_taken_back(
    site, tmp_path, again
) -> None:
    user = User(site, tmp_path)
    user.write_profile(nodes=LIGHT_AND_HEAVY, limits=f"time: 10min, save_before: 60s, {again}")
    first, second = user.launch(two_stages(tmp_path))["allocations"]
    assert len(first["jobs"]) > 1 and len(second["jobs"]) > 1
    for job in (*first["jobs"], *second["jobs"]):
        user.wait_until(lambda job=job: site.alive(job) is None, f"{job} is over")
    assert user.status("mixed")["state"] == "complete", user.logs()
    files = [Path(one["script"]).with_suffix("") / "ended" for one in (first, second)]
    assert [file.read_text() for file in files] == ["0\n", "0\n"], user.logs()
