"""A raylet is killed only where the launch has started it: others may work on one it joined."""

import os
import shutil
import subprocess
import sys

import pytest

from cluster.orphans.launch_label import VARIABLE

_STRIKE = "from cluster.chaos.faults import lost_node; lost_node.strike(None)"


@pytest.mark.parametrize(
    "of_raylet, of_job, is_killed",
    [
        ("root|s|1", "root|s|1", True),
        (None, "root|s|1", False),  # somebody started it, and this launch joined it
        ("root|t|1", "root|s|1", False),  # another launch of ours did
        (None, None, False),
    ],
)
def test_a_raylet_is_killed_where_the_launch_of_the_job_started_it(
    tmp_path, of_raylet, of_job, is_killed
):
    raylet = shutil.copy(shutil.which("bash"), tmp_path / "raylet")
    plain = {name: value for name, value in os.environ.items() if name != VARIABLE}
    job = f"'{VARIABLE}={of_job}'" if of_job else f"-u {VARIABLE}"
    ended = subprocess.run(
        [raylet, "-c", f'env {job} "$0" -c "$1"; echo still here', sys.executable, _STRIKE],
        env=plain | ({VARIABLE: of_raylet} if of_raylet else {}),
        capture_output=True,
        timeout=120,
        text=True,
        check=False,
    )
    assert (ended.returncode == -9) is is_killed, ended.stderr
    assert ("still here" in ended.stdout) is not is_killed and not ended.stderr
