"""Versions of this code, the interpreter and the libraries, as records keep them."""

import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from cluster.delivery.packages import COMMIT

SAME_EVERYWHERE = (
    "accelerate", "datasets", "deepspeed", "numpy", "peft", "safetensors", "tokenizers", "torch",
    "transformers", "trl",
)  # fmt: skip
"""Libraries that decide numbers: every machine of a launch must have the same version of each."""
_RECORDED = (
    "accelerate", "deltascale", "numpy", "safetensors", "tokenizers", "torch", "transformers",
    "trl",
)  # fmt: skip
_TOP = Path(__file__).parents[2]
_HERE = "jobs/worker/versions.py"
PACKAGES = ("analysis", "cluster", "jobs", "orchestrator")
"""The packages of this code: all attempts of a launch run them as they were when it began."""


@lru_cache
def library_versions() -> dict[str, str]:
    """Map `python` and each recorded library that is installed to its version."""
    versions = {"python": sys.version.split()[0]}
    for name in _RECORDED:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


@lru_cache
def code_commit() -> str | None:
    """Return the commit of this checkout, with `+` when its code has changes or new files.

    A kept copy says the commit of what it is a copy of. Outside a checkout it is None, also where
    the code is installed inside somebody's repository.
    """
    with suppress(OSError):
        return (_TOP / COMMIT).read_text(encoding="utf-8").strip() or None
    try:
        _git("ls-files", "--error-unmatch", _HERE)
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", *PACKAGES)
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(*words: str) -> str:
    """Ask git of this checkout, whatever repository a hook or a shell works on.

    A checkout that a group shares belongs to somebody else, whom git would not trust; its code is
    running here already. Nothing of it is written: `git status` would refresh the index, and one
    that is killed meanwhile leaves a lock that the user's own git stops at.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "--no-optional-locks", "-c", f"safe.directory={_TOP}", *words],
        cwd=_TOP,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()
