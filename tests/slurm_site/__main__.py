"""Installs what a site needs where it can, and says in one sentence what is still missing."""

import os
import shutil
import subprocess
import sys

from tests.network_namespaces import missing_packages
from tests.slurm_site.running import NEEDED, PATH, what_is_missing


def main() -> int:
    """Install Debian's packages that are absent; returns 0 where a site can run."""
    packages = missing_packages(NEEDED, PATH)
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages]
        for words in (["apt-get", "update", "-qq"], install):
            subprocess.run(words, env=quiet, stdin=subprocess.DEVNULL, check=True)
    if (missing := what_is_missing()) is not None:
        sys.stderr.write(f"{missing}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
