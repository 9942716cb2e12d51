"""A user of a site: an account with a home, a profile and a root, who types at the login host."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.network_namespaces import TICK
from tests.slurm_site.running import RunningSite

REPOSITORY = Path(__file__).parent.parent.parent
OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT")
"""States of a job that starts no more; while one lives it has many, such as SIGNALING."""
PROFILE = """\
kind: slurm
root: {root}
nodes:
{nodes}
limits: {{{limits}}}
scratch: /mnt
{lines}
"""


class User:
    """Somebody who types `deltascale` at a site's login host."""

    def __init__(self, site: RunningSite, folder: Path) -> None:
        self.site = site
        self.root = folder / "root"
        self._home = folder / "home"
        self._home.mkdir()
        self.environment = {
            "HOME": str(self._home),
            "XDG_CONFIG_HOME": str(self._home / ".config"),
            "XDG_STATE_HOME": str(self._home / ".local" / "state"),
            "PYTHONPATH": str(REPOSITORY),
            "WANDB_MODE": "offline",
            "COLUMNS": "200",
            "OMP_NUM_THREADS": "1",
        }

    def write_profile(
        self,
        name: str = "hpc",
        *,
        nodes: str = "{count: 2, cpus: 2, memory: 2GB}",
        limits: str = "time: 10min, save_before: 60s",
        lines: str = "",
    ) -> None:
        """Write a profile of this site into the user's own folder."""
        folder = self._home / ".config" / "deltascale" / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        shapes = "\n".join(f"  - {shape}" for shape in nodes.splitlines())
        text = PROFILE.format(root=self.root, nodes=shapes, limits=limits, lines=lines)
        (folder / f"{name}.yaml").write_text(text)

    def run(self, *words: str, timeout: float = 120, **variables: str):
        """Run `deltascale` at the login host to its end."""
        environment = {**self.environment, **variables}
        command = (sys.executable, "-m", "orchestrator.cli", *words)
        return self.site.command(*command, env=environment, timeout=timeout)

    def launch(self, study: str | Path, *words: str, on: str = "hpc", **variables: str) -> dict:
        """Launch a study; returns what `--json` says once it is in the queue."""
        done = self.run("launch", str(study), "--on", on, "--json", *words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def status(self, study: str) -> dict:
        """Return what `status --json` says."""
        done = self.run("status", study, "--root", str(self.root), "--json")
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return json.loads(done.stdout)

    def done(self) -> int:
        """Count the jobs that are done."""
        return len(list(self.root.glob("artifacts/*/*/record.json")))

    def wait_until(self, is_so, what: str, limit_s: float = 400) -> None:
        """Wait for something; say what the allocations printed where it does not come."""
        try:
            self.site.wait_until(is_so, what, limit_s)
        except AssertionError as late:
            queue = self.site.command("squeue", "--states=all").stdout
            raise AssertionError(f"{late}\n{queue}\n{self.logs()}") from None

    def wait_until_over(self, job: str, limit_s: float = 400) -> str:
        """Wait until a job is in no queue any more, however often it is queued again."""

        def is_over() -> bool:
            self.site.hurry(job)
            if self.site.state(job) not in OVER:
                return False
            TICK.wait(3)  # one that is queued again is shown as failed for a moment
            return self.site.state(job) in OVER

        self.wait_until(is_over, f"{job} is over", limit_s)
        return self.site.state(job)

    def running(self) -> int:
        """Count the jobs that have begun and are not done, by the folders of their attempts."""
        return len(list(self.root.glob("artifacts/*/*/attempts/*"))) - self.done()

    def logs(self) -> str:
        """Return what the user's allocations printed."""
        files = sorted(self.root.glob("studies/*/slurm/**/*.log"))
        return "\n".join(f"== {file}\n{file.read_text(errors='replace')[-6000:]}" for file in files)

    def scripts(self) -> str:
        """Return the batch scripts that were written."""
        return "\n".join(file.read_text() for file in self.root.glob("studies/*/**/*.sbatch"))

    def measurements(self, study: str) -> bytes:
        """Return the long table of a study, as its file is."""
        return (self.root / f"studies/{study}/tables/table/measurements.csv").read_bytes()


def run_locally(study: Path, root: Path) -> bytes:
    """Run a study without Ray, queue or pauses on this machine; returns its long table."""
    words = ["launch", str(study), "--executor", "local", "--root", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WANDB_MODE": "offline"}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = root.glob("studies/*/tables/table/measurements.csv")
    return table.read_bytes()
