"""Versions of this code, the interpreter and the libraries, as records keep them."""

import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

_RECORDED = (
    "accelerate", "numpy", "safetensors", "tokenizers", "torch", "transformers", "trl",
)  # fmt: skip


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
    """Return the commit of this checkout, with `+` when it has changes; None outside one."""
    where = Path(__file__).parents[2]
    try:
        commit = _git(where, "rev-parse", "--short=12", "HEAD")
        changed = _git(where, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(where: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=where, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
