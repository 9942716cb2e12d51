"""What `launch --on` costs the login node from which it submits."""

import pytest

from tests.end_to_end.slurm.studies import probes
from tests.process_weight import require_light, weighed

pytestmark = pytest.mark.slurm


def test_a_launch_submits_without_heavy_libraries(site, user, tmp_path) -> None:
    study = str(probes(tmp_path, "light", count=2, seconds=1))
    for words in (("launch", study), ("status", "light"), ("cancel", "light", "--scancel")):
        command = weighed(*words, "--on", "hpc")
        require_light(site.command(*command, env=user.environment).stderr)
