"""Direct dependencies are pinned, and pinned packages are locked by the hashes of their files."""

import re
from collections import Counter

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from locks.write import FOLDER, UNLOCKED, direct_dependencies, pinned_versions

_LOCKED = re.compile(
    r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", re.M
)
_OWN_BUILDS = UNLOCKED | {"bitsandbytes"}
"""Packages whose build is the machine's choice; they are pinned, not locked."""


def _locked() -> dict[str, str]:
    locked = {}
    for group in ("build", "runtime", "gguf", "dev", "cluster", "docs"):
        for name, version, _ in _LOCKED.findall((FOLDER / f"{group}.txt").read_text()):
            locked[canonicalize_name(name)] = version
    return locked


@pytest.mark.parametrize("group", direct_dependencies())
def test_every_direct_dependency_is_pinned_to_a_version_that_it_allows(group: str) -> None:
    pins = pinned_versions()
    for text in direct_dependencies()[group]:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no version in constraints.txt"
        assert version in requirement.specifier, f"{text} does not allow {version}"


def test_every_pinned_package_is_locked_at_its_version_with_hashes() -> None:
    pins = pinned_versions()
    assert _locked() == {name: pins[name] for name in pins.keys() - _OWN_BUILDS}, "run `make lock`"


def test_no_line_of_a_lock_is_without_a_hash() -> None:
    lines = Counter[str]()
    for file in FOLDER.glob("*.txt"):
        if file.stem != "tools":
            text = file.read_text()
            lines["named"] += len(re.findall(r"^[\w.-]+==", text, re.M))
            lines["hashed"] += len(_LOCKED.findall(text))
    assert lines["named"] == lines["hashed"] > 100
