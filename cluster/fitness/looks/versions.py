"""Looks up what code, libraries, Python and C library a machine has."""

import platform
import sys
from collections.abc import Mapping
from typing import Any

from cluster.delivery.node_versions import look_here


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this machine has.

    Args:
        asked: `packages` that make up the code, `libraries` whose versions are wanted.
    """
    here = look_here(asked["packages"], asked["libraries"])
    return {
        "host": here.host,
        "code": here.code,
        "libraries": dict(here.libraries),
        "python": platform.python_version(),
        "executable": sys.executable,
        "glibc": " ".join(platform.libc_ver()).strip(),
        "kernel": platform.release(),
    }
