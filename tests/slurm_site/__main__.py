"""Installs what a site needs where it can, and says in one sentence what is still missing."""

import sys

from tests.network_namespaces import install_missing
from tests.slurm_site.running import NEEDED, PATH, what_is_missing

ALSO = {"shellcheck": "shellcheck"}
"""What no site needs, and tests of batch scripts do."""


def main() -> int:
    """Install Debian's packages that are absent; returns 0 where a site can run."""
    install_missing({**NEEDED, **ALSO}, PATH)
    if (missing := what_is_missing()) is not None:
        sys.stderr.write(f"{missing}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
