"""Installs what hosts in namespaces need where it can, and says what is still missing."""

import sys

from tests.network_namespaces import install_missing, what_is_missing


def main() -> int:
    """Install Debian's packages that are absent; returns 0 where hosts can be made."""
    install_missing()
    if (missing := what_is_missing()) is not None:
        sys.stderr.write(f"{missing}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
