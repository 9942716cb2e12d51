"""Have all nodes the same code, libraries, Python and C library as this machine?"""

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.fitness.looking import Answer
from jobs.worker.versions import PACKAGES, SAME_EVERYWHERE, code_commit
from orchestrator.doctor.answers import alike, at, listed, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, unchecked, warning
from orchestrator.doctor.site import Site

_LOOK = "cluster.fitness.looks.versions:look"
_SAME = "start every node from the same environment: the same lock file, image or shared venv"


class Versions(Check):
    """Another torch on one node gives other numbers there, and another copy of this code worse."""

    ORDER = 20
    OF_NODES = False
    LIMIT_S = 240.0

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask this machine and all nodes."""
        asked = {"packages": PACKAGES, "libraries": [*SAME_EVERYWHERE, "ray"]}
        (here,) = site.here.ask(_LOOK, asked, 30).values()
        if here.value is None:
            yield unchecked(f"this machine: {here.fault}")
            return
        yield from judge(here.value, site.nodes.ask(_LOOK, asked, 30))


def judge(here: Mapping[str, Any], answers: Mapping[str, Answer]) -> Iterator[Line]:
    """Hold what nodes have against what this machine has."""
    there = seen(answers)
    yield from silent(answers)
    if not there:
        return
    unlike = {name: ", ".join(_unlike(here, theirs)) for name, theirs in there.items()}
    for differences, names in alike(unlike).items():
        if differences:
            yield bad(f"{at(names, len(there))}{differences}", _SAME)
    same = [name for name, differences in unlike.items() if not differences]
    if same:
        libraries = here["libraries"]
        shown = ", ".join(f"{n} {libraries[n]}" for n in ("torch", "ray") if n in libraries)
        code = code_commit() or here["code"][:12]
        yield ok(f"{at(same, len(there))}this code ({code}), Python {here['python']}, {shown}")
    glibcs = alike({name: theirs["glibc"] for name, theirs in there.items()})
    if len(glibcs) > 1:
        each = "; ".join(f"{listed(names)}: {glibc}" for glibc, names in glibcs.items())
        yield warning(
            f"unlike C libraries: {each}",
            "what is compiled on one node may not load on another: use nodes of one image",
        )


def _unlike(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    names = sorted({*here["libraries"], *there["libraries"]})
    versions = [(name, here["libraries"].get(name), there["libraries"].get(name)) for name in names]
    versions.append(("Python", here["python"], there["python"]))
    differences = [
        f"{name} {theirs or 'is missing'} (here {ours or 'none'})"
        for name, ours, theirs in versions
        if _public(ours) != _public(theirs)
    ]
    return [*differences, *(["other code of deltascale"] if here["code"] != there["code"] else [])]


def _public(version: str | None) -> str:
    """Return a version without its build (`+cpu`, `+cu130`), which may differ."""
    return (version or "").partition("+")[0]
