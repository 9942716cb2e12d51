"""What an allocation looks like: gangs over nodes, nodes without GPUs, nodes that are shared."""

import pytest

from tests.end_to_end.slurm.studies import LIGHT_AND_HEAVY, probes, two_stages
from tests.slurm_site.configuration import Site
from tests.slurm_site.running import running
from tests.slurm_site.user import User

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def site():
    """A site whose nodes have a GPU each, that is counted and has no device."""
    with running(Site(cpus=4, gpus=1, kill_wait_s=5)) as site:
        yield site


@pytest.fixture
def user(site, tmp_path):
    user = User(site, tmp_path)
    yield user
    site.checked("scancel", "--user=root")
    site.wait_for_nodes("idle", 120)


def test_two_ranks_of_one_job_run_on_both_nodes(site, user, tmp_path) -> None:
    user.write_profile(nodes="{count: 2, cpus: 1, memory: 2GB}")
    study = probes(tmp_path, "gang", count=1, seconds=2, more=", num_ranks: 2, num_nodes: 2")
    job = user.launch(study)["job"]
    assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert user.status("gang")["state"] == "complete", user.logs()


def test_symmetric_run_on_exclusive_nodes(site, user, tmp_path) -> None:
    nodes = "{count: 2, cpus: 4, memory: 5GB, exclusive: true}"
    user.write_profile(nodes=nodes, lines="start: symmetric-run")
    job = user.launch(probes(tmp_path, "symmetric", count=3, seconds=2))["job"]
    assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert user.status("symmetric")["state"] == "complete", user.logs()
    assert "symmetric" in user.scripts()


def test_a_stage_without_gpus_holds_none(site, user, tmp_path) -> None:
    user.write_profile(nodes=LIGHT_AND_HEAVY)
    first, second = user.launch(two_stages(tmp_path))["allocations"]
    assert (first["stages"], second["stages"]) == (["light"], ["heavy"])
    asked = [site.job(one["jobs"][0]).get("TresPerNode", "") for one in (first, second)]
    assert ["gpu" in what for what in asked] == [False, True], asked
    assert user.wait_until_over(first["jobs"][0]) == "COMPLETED", user.logs()
    user.wait_until_over(second["jobs"][0])
    assert "light" in str(user.status("mixed"))


_HELD = """for folder in /mnt/ds-*; do
    [ ! -e "$folder" ] || flock -n "$folder/deltascale.lock" true || echo "$folder is held"
done"""
"""What a slow node could not delete in time is left to the next job's sweep, never held."""


def test_two_studies_share_a_node_and_neither_sees_the_other(site, user, tmp_path) -> None:
    user.write_profile(nodes="{count: 1, cpus: 1, memory: 2GB}", lines="options: [--nodelist=n1]")
    jobs = [
        user.launch(probes(tmp_path, name, count=4, seconds=10))["job"] for name in ("one", "two")
    ]
    user.wait_until(
        lambda: {site.alive(job) for job in jobs} == {"RUNNING"}, "both run at once", 90
    )
    for job in jobs:
        assert user.wait_until_over(job) == "COMPLETED", user.logs()
    assert {user.status(name)["state"] for name in ("one", "two")} == {"complete"}
    assert user.logs().count("Ray runs at") == 2, user.logs()
    assert site.nodes["n1"].call("sh", "-c", _HELD) == ""
