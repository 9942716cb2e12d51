"""A submission that does not come to its end: nothing of it stays in a real queue."""

import shutil

import pytest

from tests.end_to_end.slurm.studies import LIGHT_AND_HEAVY, two_stages
from tests.slurm_site.configuration import Site
from tests.slurm_site.running import PATH, running
from tests.slurm_site.user import User

pytestmark = pytest.mark.slurm
_FAILING = """\
#!/bin/sh
case "$*" in
*--dependency*) ;;
*) exec {sbatch} "$@" ;;
esac
{sbatch} "$@" > {folder}/said
{end}
"""


@pytest.fixture(scope="module")
def site():
    """A site that has nodes for both allocations."""
    with running(Site(gpus=1)) as site:
        yield site


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1", 3),
        ("kill -INT $PPID; sleep 0.2; kill -INT $PPID; exec sleep 30", 130),
    ],
    ids=["timed-out", "interrupted"],
)
def test_a_job_whose_id_nobody_learned_is_taken_back(site, tmp_path, end, code) -> None:
    user = User(site, tmp_path)
    user.write_profile(nodes=LIGHT_AND_HEAVY)
    folder = tmp_path / "commands"
    folder.mkdir()
    sbatch = shutil.which("sbatch", path=PATH)
    (folder / "sbatch").write_text(_FAILING.format(sbatch=sbatch, folder=folder, end=end))
    (folder / "sbatch").chmod(0o755)
    words = ("launch", str(two_stages(tmp_path)), "--on", "hpc")
    refused = user.run(*words, PATH=f"{folder}:{PATH}")
    assert refused.returncode == code, refused.stdout + refused.stderr
    assert (folder / "said").read_text().strip()  # it was in the queue
    site.wait_until(lambda: not site.checked("squeue", "--noheader"), "the queue is empty", 60)
