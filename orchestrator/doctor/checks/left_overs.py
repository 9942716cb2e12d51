"""Did ended launches and Rays leave processes and files on the nodes?"""

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import at, seen, silent
from orchestrator.doctor.check import Check, Line, ok, warning
from orchestrator.doctor.site import Site
from orchestrator.text import gigabytes, pluralize

_LOOK = "cluster.fitness.looks.left_overs:look"
_MANY_BYTES = 5e9


class LeftOvers(Check):
    """Old sessions fill disks; a raylet without a head keeps ports, memory and GPUs."""

    ORDER = 80

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask all nodes; nothing is deleted."""
        yield from judge(site.nodes.ask(_LOOK, {}, 30))


def judge(answers: Mapping[str, Answer]) -> Iterator[Line]:
    """Say what was left, and where."""
    there = seen(answers)
    yield from silent(answers)
    good = []
    for name, value in there.items():
        lines = list(_of_node(name, value))
        yield from lines
        if not lines:
            good.append(name)
    if good:
        yield ok(f"{at(good, len(there))}nothing that matters was left behind")


def _of_node(name: str, value: Mapping[str, Any]) -> Iterator[Line]:
    if value["orphans"]:
        pids = " ".join(map(str, value["orphans"]))
        number = pluralize(len(value["orphans"]), "raylet")
        yield warning(f"{name}: {number} whose head does not answer", f"on {name}: `kill {pids}`")
    if value["session_bytes"] > _MANY_BYTES:
        size, number = gigabytes(value["session_bytes"]), pluralize(value["sessions"], "session")
        yield warning(
            f"{name}: {number} of ended Rays hold {size} below {value['session_folder']}",
            "delete those that no Ray uses any more: `session_latest` names the newest",
        )
    if len(value["folders"]) > 20:
        number = pluralize(len(value["folders"]), "temporary folder")
        yield warning(f"{name}: {number} of ended launches", "the next launch there sweeps them")
