"""A SLURM of two nodes, and users of it with a profile, a home and a root each."""

from pathlib import Path

import pytest

from tests.slurm_site.configuration import Site
from tests.slurm_site.running import running
from tests.slurm_site.user import User


@pytest.fixture(scope="module")
def site():
    """A site that the tests of a file share, whose queue is empty between them."""
    with running(Site(grace_s=60)) as site:
        yield site


@pytest.fixture
def user(site, tmp_path: Path):
    """Somebody with an account, whose jobs leave the queue afterwards."""
    user = User(site, tmp_path)
    user.write_profile()
    yield user
    site.checked("scancel", "--user=root")
    for name in site.nodes:
        site.command("scontrol", "update", f"nodename={name}", "state=resume")
    site.wait_for_nodes("idle", 120)
