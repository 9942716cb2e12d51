"""Versions of this code, the interpreter and the libraries, as records keep them."""

import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

_RECORDED = (
    "accelerate", "numpy", "safetensors", "tokenizers", "torch", "transformers", "trl",
)  # fmt: skip


@lru_cache
def library_versions() -> dict[str, str]:
    """Map `python` and each recorded library that is installed to its version."""
    installed = {name: metadata.version(name) for name in _RECORDED if _is_installed(name)}
    return {"python": sys.version.split()[0], **installed}


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


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
